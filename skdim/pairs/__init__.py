"""Scores of positive and negative pairs, in blocks that fit into memory.

A batch holds projections of g globals (the code) and of l locations (the local features) for each
of n samples. An anchor is one global of one sample; there are n * g, in that order. Its positives
are the l locations of its own sample. Its negatives are one of:

``"all"``
    All locations of all other samples, (n - 1) * l, in order of samples and locations.
``"shift"``
    The l locations of the next sample; for the last sample those of the first.
an int k
    At each location k draws from the other samples with replacement, k * l in total, the same for
    all globals of a sample.

A sample is never its own negative: these scores are left out, not masked.
"""

from skdim.pairs.bounding import bound_of_pairs, in_full, pair_blocks, split_pairs
from skdim.pairs.choice import draw_negatives

__all__ = ["bound_of_pairs", "draw_negatives", "in_full", "pair_blocks", "split_pairs"]
