"""What the package says about itself: the one place where the version stands.

It imports nothing, so that the build reads the version without loading torch.
"""

__version__ = "0.1.0.dev0"
