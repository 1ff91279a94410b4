"""What the convolutional decoders share: how maps shrink on the way in, and so grow back."""

import math

__all__ = ["LEAST_SIDE", "halvings", "n_stages", "widths"]

LEAST_SIDE = 8
MOST_CHANNELS = 512


def n_stages(side: int, smallest: int) -> int:
    """Count the convolutions of stride 2 between a side and about ``smallest``: at least three."""
    return max(3, round(math.log2(side / smallest)))


def widths(n_stages: int) -> list[int]:
    """Return the channels of the maps, outermost first: 64, 128, ..., at most 512."""
    return [min(64 * 2**i, MOST_CHANNELS) for i in range(n_stages)]


def halvings(side: int, n_stages: int) -> list[int]:
    """Return the sides of all maps, the sample's own first: each is half the one before, cut off.

    Examples
    --------
    >>> halvings(31, 3)
    [31, 15, 7, 3]
    """
    return [side // 2**i for i in range(n_stages + 1)]
