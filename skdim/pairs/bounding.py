"""A bound on the pairs of a batch, at once or in blocks."""

import torch
from torch import Generator, Tensor

from skdim.pairs.blocks import BlockTask, BlockwiseBound, statistics_of, with_gradient
from skdim.pairs.choice import AbstractChoice, choose_negatives
from skdim.pairs.scoring import Join, score_block

__all__ = ["bound_of_pairs"]


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
    they are scored in blocks, and the gradient of each block is taken as soon as it is scored:
    nothing of a block is kept for backward but what it adds to the gradient. Values and gradients
    are the same.

    Parameters
    ----------
    bound : Bound
        Its ``anchors`` and ``total`` are called.
    join : callable
        From projections (*b, g, u) and (*b, m, u) to scores (*b, g, m), each pair for itself: no
        statistics of batches inside. Of tensors that it holds itself, only leaves, such as the
        weights of a module, may need a gradient.
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
    choice = choose_negatives(code, local, negatives, generator)
    n = len(code)
    block_samples = max(1, max_floats // floats_per_sample(code, local, choice, pair_floats))
    if block_samples >= n:
        whole = slice(0, n)
        scores = score_block(join, code, choice.take(local, whole), whole)
        return bound.total(*bound.anchors(*scores))
    task = BlockTask(bound, join, choice, block_samples)
    if torch.is_grad_enabled():
        # A compiler can make nothing of the blocks. It is asked now and not when this file is
        # read, since asking imports it, which takes as long as importing torch.
        run = (
            torch.compiler.disable(with_gradient)  # type: ignore[no-untyped-call]
            if torch.compiler.is_compiling()
            else with_gradient
        )
        value: Tensor = run(task, code, local)
        return value
    return bound.total(*statistics_of(task, code, local))


def floats_per_sample(code: Tensor, local: Tensor, choice: AbstractChoice, pair_floats: int) -> int:
    """Count the numbers that scoring the pairs of one sample's anchors needs."""
    n_false = choice.count(local)
    joined = code.shape[1] * (local.shape[1] + n_false) * pair_floats
    # What is copied serves all globals of the sample.
    return max(1, joined + choice.copies * n_false * local.shape[2])
