"""Which pairs are true, which false, in blocks that fit memory.

A batch holds, for each of n samples, the projections of g globals (its code) and of l locations
(its local features). An anchor is one global of one sample, so there are n * g of them, in that
order. Its positives are the l locations of its own sample. Its negatives are chosen by name:

``"all"``
    Every location of every other sample, (n - 1) * l: samples in order, each with its locations.
``"shift"``
    The l locations of the next sample; the last sample takes those of the first.
an int k
    At each location k draws from the other samples, with replacement, k * l in all. The globals of
    one sample share them.

A sample is never its own negative: its scores are left out, not masked by a constant.
"""

from skdim.pairs.bounding import bound_of_pairs
from skdim.pairs.scoring import in_full, pair_blocks, split_pairs

__all__ = ["bound_of_pairs", "in_full", "pair_blocks", "split_pairs"]
