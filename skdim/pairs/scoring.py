"""Scores of positive and negative pairs."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor

from skdim.pairs.choice import check_samples, choose_negatives, consecutive

__all__ = ["Join", "in_full", "pair_blocks", "score_block", "split_pairs"]

Join = Callable[[Tensor, Tensor], Tensor]


def split_pairs(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Split the scores of all pairs into those of positive and negative pairs.

    Parameters
    ----------
    scores : Tensor of shape (n, g, n, l)
        Entry ``[i, a, j, k]`` scores global a of sample i against location k of sample j.

    Returns
    -------
    positive : Tensor of shape (n * g, l)
        Scores with the locations of the same sample.
    negative : Tensor of shape (n * g, (n - 1) * l)
        Scores with the locations of all other samples.

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
    """Score the pairs of a batch in blocks of samples.

    Parameters
    ----------
    join, code, local, negatives, generator
        As in :func:`bound_of_pairs`.
    block_samples : int or None, default=None
        Samples per block; the last may have fewer. None is one block.

    Returns
    -------
    iterator of (Tensor, Tensor)
        Positive scores (n_anchors, l) and negative scores (n_anchors, n_negatives) of consecutive
        anchors. The draws do not depend on the block size.

    Raises
    ------
    ValueError
        If the projections do not match, there is one sample only, or a parameter is not valid.
    """
    if block_samples is not None and block_samples < 1:
        raise ValueError(f"block_samples={block_samples}; a block holds at least one sample.")
    choice = choose_negatives(code, local, negatives, generator)
    return (
        score_block(join, code[block], choice.take(local, block), block)
        for block in consecutive(len(code), block_samples or len(code))
    )


def score_block(
    join: Join, code: Tensor, taken: Sequence[Tensor], block: slice
) -> tuple[Tensor, Tensor]:
    """Score a block of samples; return positive scores (b * g, l) and negative ones (b * g, m).

    ``code`` are those of the block, and ``taken`` the locations from ``AbstractChoice.take``.
    """
    own, *false = taken
    if not false:
        # All pairs, own ones included: one matrix product for a dot critic.
        scores = in_full(join(code.flatten(0, 1), own.flatten(0, 1)))
        return split_own(scores.reshape(*code.shape[:2], *own.shape[:2]), block.start)
    positive, negative = in_full(join(code, own)), in_full(join(code, false[0]))
    return positive.flatten(0, 1), negative.flatten(0, 1)


def in_full(scores: Tensor) -> Tensor:
    """Return scores in at least single precision, for sums of exponentials."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def split_own(scores: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Split scores (b, g, n, l) of samples ``first`` to ``first + b - 1`` against all n.

    By index, since the size of a masked tensor is only known after waiting for the device.
    """
    b, g, n, n_locations = scores.shape
    own = torch.arange(first, first + b, device=scores.device)[:, None]
    others = torch.arange(n - 1, device=scores.device)
    others = others + (others >= own)  # (b, n - 1): all other samples, in order
    # Row (i, a, j) holds the scores of anchor (i, a) against the locations of sample j.
    rows = scores.reshape(b * g * n, n_locations)
    start = torch.arange(0, b * g * n, n, device=scores.device).reshape(b, g, 1)
    positive = rows.index_select(0, (start + own[:, None]).flatten())
    negative = rows.index_select(0, (start + others[:, None]).flatten())
    return positive, negative.reshape(b * g, (n - 1) * n_locations)
