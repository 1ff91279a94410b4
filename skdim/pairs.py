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

from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.utils.checkpoint import checkpoint

__all__ = ["bound_of_pairs", "pair_blocks", "split_pairs"]

Join = Callable[[Tensor, Tensor], Tensor]


class BlockwiseBound(Protocol):
    """What this file needs of a bound: statistics of each anchor, and their total."""

    @property
    def anchors(self) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Map scores (n_anchors, n_positives) and (n_anchors, n_negatives) to (n_anchors,) each."""

    @property
    def total(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Map the statistics of all anchors to a tensor of shape ()."""


def split_pairs(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Tell true from false pairs among the scores of all pairs.

    Parameters
    ----------
    scores : Tensor of shape (n, g, n, l)
        Entry ``[i, a, j, k]`` scores global a of sample i against location k of sample j.

    Returns
    -------
    positive : Tensor of shape (n * g, l)
        Scores with the locations of the same sample.
    negative : Tensor of shape (n * g, (n - 1) * l)
        Scores with every location of every other sample.

    Raises
    ------
    ValueError
        If the scores have another shape, or there are fewer than two samples.

    Examples
    --------
    >>> positive, negative = split_pairs(torch.tensor([[1.0, 2.0], [3.0, 4.0]])[:, None, :, None])
    >>> positive.tolist(), negative.tolist()
    ([[1.0], [4.0]], [[2.0], [3.0]])
    """
    if scores.ndim != 4 or scores.shape[0] != scores.shape[2]:
        raise ValueError(
            f"scores have shape {tuple(scores.shape)}; (n, g, n, l) is needed: g globals of each "
            "of n samples against l locations of each of the same n samples."
        )
    check_samples(len(scores))
    return split_own(scores, 0)


def pair_blocks(
    join: Join,
    code: Tensor,
    local: Tensor,
    negatives: str | int = "all",
    *,
    generator: Generator | None = None,
    block_samples: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Score the pairs of a batch, some samples' anchors at a time.

    Parameters
    ----------
    join : callable
        From projections (*b, g, u) and (*b, m, u) to scores (*b, g, m).
    code : Tensor of shape (n, g, u)
        Projected globals.
    local : Tensor of shape (n, l, u)
        Projected locations.
    negatives : {"all", "shift"} or int, default="all"
        Which pairs are false.
    generator : Generator or None, default=None
        What an int draws from. None is torch's global generator.
    block_samples : int or None, default=None
        How many samples' anchors a block holds; the last may hold fewer. None puts all in one.

    Returns
    -------
    iterator of (Tensor, Tensor)
        Positive scores (n_anchors, l) and negative scores (n_anchors, n_negatives) of consecutive
        anchors. Draws are made at once, so they do not depend on the size of the blocks.

    Raises
    ------
    ValueError
        If the projections do not fit each other, there are fewer than two samples, the negatives
        are unknown, or a block is to hold less than one sample.

    Examples
    --------
    >>> def dot(code, local):
    ...     return code @ local.mT
    >>> code, local = torch.randn(6, 1, 3), torch.randn(6, 4, 3)
    >>> [(len(p), n.shape[1]) for p, n in pair_blocks(dot, code, local, block_samples=4)]
    [(4, 20), (2, 20)]
    """
    if block_samples is not None and block_samples < 1:
        raise ValueError(f"block_samples={block_samples}; a block holds at least one sample.")
    false_rows = choose_negatives(code, local, negatives, generator)
    return (
        score_block(join, code, local, false_rows, block)
        for block in consecutive(len(code), block_samples or len(code))
    )


def bound_of_pairs(
    bound: BlockwiseBound,
    join: Join,
    code: Tensor,
    local: Tensor,
    negatives: str | int = "all",
    *,
    generator: Generator | None = None,
    pair_floats: int = 1,
    max_floats: int = 2**24,
) -> Tensor:
    """Evaluate a bound on the pairs of a batch, with memory linear in the batch.

    If everything that joining needs fits ``max_floats``, all pairs are scored at once. If not,
    they are scored in blocks, of which only the statistics of each anchor are kept: backward
    scores each block again. Values and gradients are the same.

    Parameters
    ----------
    bound : Bound
        Its ``anchors`` and ``total`` are called.
    join : callable
        From projections (*b, g, u) and (*b, m, u) to scores (*b, g, m). It may run a second time
        in backward, and must then give the same scores: no statistics of batches inside.
    code : Tensor of shape (n, g, u)
        Projected globals.
    local : Tensor of shape (n, l, u)
        Projected locations.
    negatives : {"all", "shift"} or int, default="all"
        Which pairs are false.
    generator : Generator or None, default=None
        What an int draws from. None is torch's global generator.
    pair_floats : int, default=1
        How many numbers the join holds for one pair at its widest: 1 for a dot product, the
        hidden units for a network on the pair.
    max_floats : int, default=2**24
        How many numbers a block may hold; the default is 64 MiB in single precision. With its
        gradients and the bound's own steps, a block takes a few times as much. A block holds at
        least one sample's anchors, even beyond the budget.

    Returns
    -------
    Tensor of shape ()
        The bound, to be maximised.

    Raises
    ------
    ValueError
        If the projections do not fit each other, there are fewer than two samples, or the
        negatives are unknown.

    Examples
    --------
    >>> from skdim.bounds import BOUNDS
    >>> def dot(code, local):
    ...     return code @ local.mT
    >>> code = local = 9 * torch.eye(5)[:, None]
    >>> bound_of_pairs(BOUNDS["infonce"], dot, code, local).exp()
    tensor(5.)
    """
    false_rows = choose_negatives(code, local, negatives, generator)
    n = len(code)
    block_samples = max(1, max_floats // floats_per_sample(code, local, false_rows, pair_floats))
    if block_samples >= n:
        return bound.total(*bound.anchors(*score_block(join, code, local, false_rows, slice(0, n))))
    gains, costs = [], []
    for block in consecutive(n, block_samples):
        gain, cost = checkpoint(
            summarise_block,
            bound,
            join,
            code,
            local,
            false_rows,
            block,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        gains.append(gain)
        costs.append(cost)
    return bound.total(torch.cat(gains), torch.cat(costs))


def choose_negatives(
    code: Tensor, local: Tensor, negatives: str | int, generator: Generator | None
) -> Tensor | None:
    """Check the batch, and choose false locations for each sample.

    Returns
    -------
    Tensor of shape (n, m) or None
        Rows of the locations of all samples, flattened to (n * l, u). None stands for all rows of
        the other samples.
    """
    if code.ndim != 3 or local.ndim != 3 or len(code) != len(local):
        raise ValueError(
            f"code has shape {tuple(code.shape)} and local {tuple(local.shape)}; projections "
            "(n, g, u) and (n, l, u) of the same n samples are needed."
        )
    n, n_locations = local.shape[:2]
    check_samples(n)
    if negatives == "all":
        return None
    device = local.device
    sample = torch.arange(n, device=device)[:, None, None]
    if negatives == "shift":
        other = (sample + 1) % n
    elif isinstance(negatives, Integral) and not isinstance(negatives, bool) and negatives >= 1:
        # Steps of 1 to n - 1 around the batch never lead back.
        size = (n, n_locations, int(negatives))
        drawn_on = device if generator is None else generator.device
        step = torch.randint(1, n, size, generator=generator, device=drawn_on)
        other = (sample + step.to(device, non_blocking=True)) % n
    else:
        raise ValueError(
            f"negatives={negatives!r} is not known. Allowed are 'all' (every location of every "
            "other sample), 'shift' (the locations of the next sample) and an int of at least 1 "
            "(that many draws a location)."
        )
    location = torch.arange(n_locations, device=device)[:, None]
    return (other * n_locations + location).flatten(1)


def check_samples(n: int) -> None:
    """Raise a ValueError if there is no other sample to take negatives from."""
    if n < 2:
        raise ValueError(
            f"the batch has {n} sample(s); negatives need another sample, so at least 2. "
            "Use larger batches, or drop the last one if it is too small."
        )


def floats_per_sample(
    code: Tensor, local: Tensor, false_rows: Tensor | None, pair_floats: int
) -> int:
    """Count the numbers that scoring the pairs of one sample's anchors needs."""
    n_globals, n_locations = code.shape[1], local.shape[1]
    if false_rows is None:
        return max(1, n_globals * len(local) * n_locations * pair_floats)
    n_false = false_rows.shape[1]
    # Chosen locations are copied once for all globals of the sample.
    return max(1, n_globals * (n_locations + n_false) * pair_floats + n_false * local.shape[2])


def consecutive(n: int, size: int) -> Iterator[slice]:
    """Cut n samples into slices of a given size; the last may be smaller."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def summarise_block(
    bound: BlockwiseBound,
    join: Join,
    code: Tensor,
    local: Tensor,
    false_rows: Tensor | None,
    block: slice,
) -> tuple[Tensor, Tensor]:
    """Score a block and reduce it to what the bound keeps of each anchor."""
    return bound.anchors(*score_block(join, code, local, false_rows, block))


def score_block(
    join: Join, code: Tensor, local: Tensor, false_rows: Tensor | None, block: slice
) -> tuple[Tensor, Tensor]:
    """Score the anchors of a block of samples: (n_anchors, l) and (n_anchors, n_negatives)."""
    rows = local.flatten(0, 1)
    mine = code[block]
    if false_rows is None:
        # One plain matrix product for a dot critic; own pairs are in it and go to the positives.
        scores = join(mine.flatten(0, 1), rows)
        return split_own(scores.reshape(*mine.shape[:2], *local.shape[:2]), block.start)
    positive = join(mine, local[block])
    negative = join(mine, rows[false_rows[block]])
    return positive.flatten(0, 1), negative.flatten(0, 1)


def split_own(scores: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Split scores (b, g, n, l) of samples ``first`` to ``first + b - 1`` against all n.

    By index, not by a boolean mask: the number of entries that a mask lets through is known to
    the device only, and asking for it waits for the device.
    """
    b, g, n, n_locations = scores.shape
    own = torch.arange(first, first + b, device=scores.device)[:, None]
    others = torch.arange(n - 1, device=scores.device)
    others = others + (others >= own)  # (b, n - 1): all samples but one's own, in order
    # Row (i, a, j) holds the scores of anchor (i, a) against the locations of sample j.
    rows = scores.reshape(b * g * n, n_locations)
    start = torch.arange(0, b * g * n, n, device=scores.device).reshape(b, g, 1)
    positive = rows.index_select(0, (start + own[:, None]).flatten())
    negative = rows.index_select(0, (start + others[:, None]).flatten())
    return positive, negative.reshape(b * g, (n - 1) * n_locations)
