"""A bound block by block, with its gradient."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skdim.pairs.choice import AbstractChoice, consecutive
from skdim.pairs.scoring import Join, score_block

__all__ = ["BlockTask", "BlockwiseBound", "statistics_of", "with_gradient"]


class BlockwiseBound(Protocol):
    """What this file needs of a bound: statistics of each anchor, and their total."""

    @property
    def anchors(self) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Map scores (n_anchors, n_positives) and (n_anchors, n_negatives) to (n_anchors,) each."""

    @property
    def total(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Map the statistics of all anchors to a tensor of shape ()."""

    @property
    def additive(self) -> bool:
        """Whether the total is linear, so that its gradient is known before any score."""


@dataclass(frozen=True)
class BlockTask:
    """What is to be computed, block by block.

    Parameters
    ----------
    bound : BlockwiseBound
    join : callable
    choice : AbstractChoice
        Of the negatives.
    block_samples : int
        Samples whose anchors are in a block.
    """

    bound: BlockwiseBound
    join: Join
    choice: AbstractChoice
    block_samples: int

    def statistics(self, taken: Sequence[Tensor], block: slice) -> tuple[Tensor, Tensor]:
        """Return gain and cost of the anchors of a block, from its codes and what they meet."""
        code, *met = taken
        return self.bound.anchors(*score_block(self.join, code, met, block))


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
    """Return the bound in blocks, ready for backward."""
    weights = leaves_behind(task.join, code, local)
    bound: Tensor = InBlocks.apply(task, code, local, *weights)  # type: ignore[no-untyped-call]
    return bound


def leaves_behind(join: Join, code: Tensor, local: Tensor) -> list[Tensor]:
    """Find the weights of a join: the leaves behind the score of one pair."""
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
    """A bound whose gradient is taken with it, block by block.

    Keeping the scores for backward would take memory, and scoring again in backward time. But the
    total's gradient in the statistics of an anchor is known before its block is scored (at once
    where the total is linear, else from a first pass over all blocks), so that a block's own
    gradient can be taken, and the block forgotten, right away. Backward only multiplies.
    """

    @staticmethod
    def forward(ctx: Any, task: BlockTask, code: Tensor, local: Tensor, *weights: Tensor) -> Tensor:
        """Return the bound, and keep its gradient in code, local and weights."""
        shares = shares_of(task, code, local)
        # Many blocks add to one gradient: in at least single precision.
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
        """Scale the gradients that were kept."""
        return (None, *(upstream * kept for kept in ctx.saved_tensors))


def shares_of(task: BlockTask, code: Tensor, local: Tensor) -> tuple[Tensor, ...]:
    """Return the total's gradient in the two statistics of every anchor."""
    if task.bound.additive:
        dtype = torch.promote_types(code.dtype, torch.float32)
        # The same everywhere.
        at = [torch.zeros(code.shape[:2].numel(), dtype=dtype, device=code.device)] * 2
    else:
        at = list(statistics_of(task, code, local))
    with torch.enable_grad():
        at = [statistic.detach().requires_grad_() for statistic in at]
        total = task.bound.total(*at)
    return torch.autograd.grad(total, at)


def gradient(of: Tensor, at: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Take a gradient, in the numbers that forward computed in."""
    with torch.autocast(of.device.type, enabled=False):
        return torch.autograd.grad(of, at)
