"""Scores of the pairs of a batch, bounds on them and their gradients, at once or in blocks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.autograd.function import once_differentiable

from skdim.bounds import Bound
from skdim.pairs.choice import AbstractChoice, check_samples, choose_negatives, consecutive

__all__ = [
    "Join",
    "bound_of_pairs",
    "in_full",
    "pair_blocks",
    "score_block",
    "split_pairs",
    "uncompiled",
]

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


@dataclass(frozen=True)
class BlockTask:
    """A bound to be computed in blocks of ``block_samples`` samples."""

    bound: Bound
    join: Join
    choice: AbstractChoice
    block_samples: int

    def statistics(self, taken: Sequence[Tensor], block: slice) -> tuple[Tensor, Tensor]:
        """Return gain and cost of the anchors of a block, from its codes and locations."""
        code, *met = taken
        return self.bound.anchors(*score_block(self.join, code, met, block))


def bound_of_pairs(
    bound: Bound,
    join: Join,
    code: Tensor,
    local: Tensor,
    negatives: str | int | Tensor = "all",
    *,
    generator: Generator | None = None,
    pair_floats: int = 1,
    max_floats: int = 2**24,
) -> Tensor:
    """Compute a bound on the pairs of a batch, with memory linear in the batch.

    If all pairs fit ``max_floats``, they are scored at once. Otherwise they are scored in blocks,
    whose gradients are computed immediately, so that no scores are kept for backward. Values and
    gradients are the same.

    Parameters
    ----------
    bound : Bound
        Its ``anchors`` and ``total`` are called.
    join : callable
        Maps projections (*b, g, u) and (*b, m, u) to scores (*b, g, m), independently for each
        pair. Of its own tensors, only leaves, such as the weights of a module, may require a
        gradient.
    code : Tensor of shape (n, g, u)
        Projected globals.
    local : Tensor of shape (n, l, u)
        Projected locations.
    negatives : {"all", "shift"}, int or Tensor, default="all"
        Which pairs are negative; see :mod:`skdim.pairs`. A tensor is a result of
        ``draw_negatives``.
    generator : Generator or None, default=None
        For an int. None is torch's global generator.
    pair_floats : int, default=1
        Maximal number of values that the join holds per pair: 1 for a dot product, the hidden units
        for a network.
    max_floats : int, default=2**24
        Values per block, at least one sample's; by default 64 MiB in single precision. Gradients
        and the bound's own steps take a few times as much.

    Returns
    -------
    Tensor of shape ()
        The bound, to be maximised. InfoNCE of several locations (l > 1) is a score, which may
        exceed the information: the negatives of one sample depend on each other.

    Raises
    ------
    ValueError
        If the projections do not match, there is one sample only, or ``negatives`` is not valid.

    Examples
    --------
    >>> from skdim.bounds import BOUNDS
    >>> code = local = 9 * torch.eye(5)[:, None]
    >>> bound_of_pairs(BOUNDS["infonce"], lambda code, local: code @ local.mT, code, local).exp()
    tensor(5.)
    """
    choice = choose_negatives(code, local, negatives, generator)
    n = len(code)
    n_false = choice.count(local)
    # All globals of a sample share what is copied.
    per_sample = code.shape[1] * (local.shape[1] + n_false) * pair_floats
    per_sample += choice.copies * n_false * local.shape[2]
    block_samples = max(1, max_floats // max(1, per_sample))
    if block_samples >= n:
        whole = slice(0, n)
        scores = score_block(join, code, choice.take(local, whole), whole)
        return bound.total(*bound.anchors(*scores))
    task = BlockTask(bound, join, choice, block_samples)
    if torch.is_grad_enabled():
        return uncompiled(with_gradient)(task, code, local)
    return bound.total(*statistics_of(task, code, local))


def uncompiled(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a function that torch.compile calls as it is, and does not trace."""
    # Not as a decorator, which would import the compiler.
    if torch.compiler.is_compiling():
        run = torch.compiler.disable(run)  # type: ignore[no-untyped-call]
    return run


def statistics_of(task: BlockTask, code: Tensor, local: Tensor) -> tuple[Tensor, Tensor]:
    """Return the statistics of all anchors, in blocks, without a gradient."""
    statistics = []
    with torch.no_grad():
        for block in consecutive(len(code), task.block_samples):
            taken = [code[block], *task.choice.take(local, block)]
            statistics.append(task.statistics(taken, block))
    gains, costs = zip(*statistics, strict=True)
    return torch.cat(gains), torch.cat(costs)


def with_gradient(task: BlockTask, code: Tensor, local: Tensor) -> Tensor:
    """Return the bound in blocks, with a gradient."""
    weights = leaves_behind(task.join, code, local)
    bound: Tensor = InBlocks.apply(task, code, local, *weights)  # type: ignore[no-untyped-call]
    return bound


def leaves_behind(join: Join, code: Tensor, local: Tensor) -> list[Tensor]:
    """Return the weights of a join: the leaves of the graph of one score."""
    with torch.enable_grad():
        score = join(code[:1, :1].detach(), local[:1, :1].detach())
    found, seen, to_see = [], set(), [score.grad_fn]
    while to_see:
        node = to_see.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        to_see.extend(before for before, _ in node.next_functions)
    return found


class InBlocks(torch.autograd.Function):
    """A bound whose gradient is computed in the forward pass, block by block.

    The total's gradient in an anchor's statistics is known before its block is scored: constant if
    the total is linear, else from a first pass. So no scores are kept, and none computed again.
    """

    @staticmethod
    def forward(ctx: Any, task: BlockTask, code: Tensor, local: Tensor, *weights: Tensor) -> Tensor:
        """Return the bound, and keep its gradient in code, local and weights."""
        shares = shares_of(task, code, local)
        # Sums over blocks need at least single precision.
        given = [code, local, *weights]
        gradients = [
            torch.zeros_like(of, dtype=torch.promote_types(of.dtype, torch.float32)) for of in given
        ]
        of_code, of_local, *of_weights = gradients
        statistics = []
        for block in consecutive(len(code), task.block_samples):
            taken = [code[block], *task.choice.take(local, block)]
            anchors = slice(block.start * code.shape[1], block.stop * code.shape[1])
            with torch.enable_grad():
                taken = [part.detach().requires_grad_() for part in taken]
                gain, cost = task.statistics(taken, block)
                part = gain @ shares[0][anchors] + cost @ shares[1][anchors]
            # In the precision of forward.
            with torch.autocast(part.device.type, enabled=False):
                added = torch.autograd.grad(part, [*taken, *weights])
            of_code[block] += added[0]
            task.choice.give_back(of_local, added[1 : len(taken)], block)
            for total, more in zip(of_weights, added[len(taken) :], strict=True):
                total += more
            statistics.append((gain.detach(), cost.detach()))
        ctx.save_for_backward(*gradients)
        gains, costs = zip(*statistics, strict=True)
        return task.bound.total(torch.cat(gains), torch.cat(costs))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        """Scale the gradients."""
        return (None, *(upstream * kept for kept in ctx.saved_tensors))


def shares_of(task: BlockTask, code: Tensor, local: Tensor) -> tuple[Tensor, ...]:
    """Return the total's gradient in both statistics of every anchor."""
    if task.bound.additive:
        dtype = torch.promote_types(code.dtype, torch.float32)
        at = [torch.zeros(code.shape[:2].numel(), dtype=dtype, device=code.device)] * 2
    else:
        at = list(statistics_of(task, code, local))
    with torch.enable_grad():
        at = [statistic.detach().requires_grad_() for statistic in at]
        total = task.bound.total(*at)
    return torch.autograd.grad(total, at)
