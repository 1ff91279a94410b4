"""Bounds on the pairs of a batch and their gradients, at once or in blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, Tensor
from torch.autograd.function import once_differentiable

from skdim.pairs.choice import AbstractChoice, choose_negatives, consecutive
from skdim.pairs.scoring import Join, score_block

__all__ = ["bound_of_pairs"]


class BlockwiseBound(Protocol):
    """The interface of bounds: statistics of each anchor, and their total."""

    @property
    def anchors(self) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Map scores (n_anchors, n_positives) and (n_anchors, n_negatives) to two (n_anchors,)."""

    @property
    def total(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Map the statistics of all anchors to a tensor of shape ()."""

    @property
    def additive(self) -> bool:
        """Whether the total is linear, so that its gradient is constant."""


@dataclass(frozen=True)
class BlockTask:
    """A bound to be computed in blocks of ``block_samples`` samples."""

    bound: BlockwiseBound
    join: Join
    choice: AbstractChoice
    block_samples: int

    def statistics(self, taken: Sequence[Tensor], block: slice) -> tuple[Tensor, Tensor]:
        """Return gain and cost of the anchors of a block, from its codes and locations."""
        code, *met = taken
        return self.bound.anchors(*score_block(self.join, code, met, block))


def bound_of_pairs(
    bound: BlockwiseBound,
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
        # Blocks are not compiled. Not a decorator, which would import the compiler.
        run = (
            torch.compiler.disable(with_gradient)  # type: ignore[no-untyped-call]
            if torch.compiler.is_compiling()
            else with_gradient
        )
        value: Tensor = run(task, code, local)
        return value
    return bound.total(*statistics_of(task, code, local))


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
            added = gradient(part, [*taken, *weights])
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


def gradient(of: Tensor, at: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Compute a gradient in the precision of forward."""
    with torch.autocast(of.device.type, enabled=False):
        return torch.autograd.grad(of, at)
