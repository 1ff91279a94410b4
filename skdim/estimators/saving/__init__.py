"""Transformers that outlast their process: saved, pickled, exported, and taken up again."""
