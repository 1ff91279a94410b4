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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.autograd.function import once_differentiable

from skdim.bounds import Bound
from skdim.parameters import is_integer

__all__ = ["bound_of_pairs", "in_full", "pair_blocks"]

Join = Callable[[Tensor, Tensor], Tensor]


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
        As in :func:`bound_of_pairs`, which raises the same errors.
    block_samples : int or None, default=None
        Samples per block; the last may have fewer. None is one block.

    Returns
    -------
    iterator of (Tensor, Tensor)
        Positive scores (n_anchors, l) and negative scores (n_anchors, n_negatives) of consecutive
        anchors. The draws do not depend on the block size.
    """
    if block_samples is not None and block_samples < 1:
        raise ValueError(f"block_samples={block_samples}; a block holds at least one sample.")
    rows = rows_of_negatives(code, local, negatives, generator)
    return (
        score_block(join, taken, block)
        for block, taken in take_blocks(code, local, rows, block_samples or len(code))
    )


def take_blocks(
    code: Tensor, local: Tensor, rows: Tensor | None, size: int
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Yield blocks of ``size`` samples (the last may be smaller), with their projections.

    These are the codes of the block (b, g, u); and all locations (n, l, u) if ``rows`` is None,
    else its own locations (b, l, u) and the negative ones (b, m, u).
    """
    for start in range(0, len(code), size):
        block = slice(start, start + size)
        if rows is None:
            yield block, [code[block], local]
            continue
        # Not by indexing, whose backward is slow.
        negative = local.flatten(0, 1).index_select(0, rows[block].flatten())
        yield block, [code[block], local[block], negative.reshape(*rows[block].shape, -1)]


def score_block(join: Join, taken: Sequence[Tensor], block: slice) -> tuple[Tensor, Tensor]:
    """Score a block from ``take_blocks``; return scores (b * g, l) and (b * g, m)."""
    code, own, *others = taken
    if not others:
        # All pairs, own ones included: one matrix product for a dot critic.
        scores = in_full(join(code.flatten(0, 1), own.flatten(0, 1)))
        return split_own(scores.reshape(*code.shape[:2], *own.shape[:2]), block.start)
    positive, negative = in_full(join(code, own)), in_full(join(code, others[0]))
    return positive.flatten(0, 1), negative.flatten(0, 1)


def in_full(scores: Tensor) -> Tensor:
    """Return scores in at least single precision, for sums of exponentials."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def split_own(scores: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Split scores (b, g, n, l) of samples ``first`` to ``first + b - 1`` against all n."""
    # By index, since the size of a masked tensor is only known after waiting for the device.
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


def rows_of_negatives(
    code: Tensor, local: Tensor, negatives: str | int, generator: Generator | None
) -> Tensor | None:
    """Return the negatives of each sample, (n, m), as rows of all locations (n * l, u).

    None stands for all locations of all other samples. Raise a ValueError if the batch or
    ``negatives`` is not valid.
    """
    if code.ndim != 3 or local.ndim != 3 or len(code) != len(local):
        raise ValueError(
            f"code has shape {tuple(code.shape)} and local {tuple(local.shape)}; projections "
            "(n, g, u) and (n, l, u) of the same n samples are needed."
        )
    n, n_locations = local.shape[:2]
    if n < 2:
        raise ValueError(
            f"the batch has {n} sample(s); negatives need another sample, so at least 2. "
            "Use larger batches, or drop the last one if it is too small."
        )
    if negatives == "all":
        return None
    if negatives == "shift":
        return torch.arange(n * n_locations, device=local.device).reshape(n, -1).roll(-1, 0)
    if not is_integer(negatives, 1):
        raise ValueError(
            f"negatives={negatives!r} is not known. Allowed are 'all' (every location of every "
            "other sample), 'shift' (the locations of the next sample) and an int of at least 1 "
            "(that many draws a location)."
        )
    # Steps of 1 to n - 1 around the batch exclude the sample itself.
    size, device = (n, n_locations, int(negatives)), local.device
    drawn_on = device if generator is None else generator.device
    step = torch.randint(1, n, size, generator=generator, device=drawn_on)
    sample = torch.arange(n, device=device)[:, None, None]
    other = (sample + step.to(device, non_blocking=True)) % n
    location = torch.arange(n_locations, device=device)[:, None]
    return (other * n_locations + location).flatten(1)


@dataclass(frozen=True)
class BlockTask:
    """A bound to be computed in blocks of ``size`` samples."""

    bound: Bound
    join: Join
    rows: Tensor | None
    size: int


def bound_of_pairs(
    bound: Bound,
    join: Join,
    code: Tensor,
    local: Tensor,
    negatives: str | int = "all",
    *,
    generator: Generator | None = None,
    pair_floats: int = 1,
    max_floats: int = 2**24,
) -> Tensor:
    """Compute a bound on the pairs of a batch, with memory linear in the batch.

    If all pairs fit ``max_floats``, they are scored at once. Otherwise they are scored in blocks,
    whose gradients are computed immediately, so that no scores are stored for backward. Values and
    gradients are the same.

    Parameters
    ----------
    bound : Bound
        Its ``anchors`` and ``total`` are called.
    join : callable
        Maps projections (*b, g, u) and (*b, m, u) to scores (*b, g, m), each pair alone. If its
        own tensors require a gradient, they must be leaves, such as the weights of a module.
    code, local : Tensor of shape (n, g, u), (n, l, u)
        Projected globals and locations.
    negatives : {"all", "shift"} or int, default="all"
        Which pairs are negative; see :mod:`skdim.pairs`.
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
        The bound, to be maximised. InfoNCE of several locations (l > 1) may exceed the
        information, since the negatives of one sample depend on each other.

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
    rows = rows_of_negatives(code, local, negatives, generator)
    n, n_locations, units = local.shape
    n_negatives = (n - 1) * n_locations if rows is None else rows.shape[1]
    per_sample = code.shape[1] * (n_locations + n_negatives) * pair_floats
    if not isinstance(negatives, str):
        # Drawn locations are copied. The copies of "shift" are no larger than ``local``.
        per_sample += n_negatives * units
    size = max(1, max_floats // max(1, per_sample))
    if size >= n:
        ((block, taken),) = take_blocks(code, local, rows, n)
        return bound.total(*bound.anchors(*score_block(join, taken, block)))
    task = BlockTask(bound, join, rows, size)
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
    """Return gain and cost of all anchors, without a gradient."""
    with torch.no_grad():
        statistics = [
            task.bound.anchors(*score_block(task.join, taken, block))
            for block, taken in take_blocks(code, local, task.rows, task.size)
        ]
    gains, costs = zip(*statistics, strict=True)
    return torch.cat(gains), torch.cat(costs)


def with_gradient(task: BlockTask, code: Tensor, local: Tensor) -> Tensor:
    """Return the bound in blocks, with a gradient."""
    weights = weights_of_join(task.join, code, local)
    bound: Tensor = InBlocks.apply(task, code, local, *weights)  # type: ignore[no-untyped-call]
    return bound


def weights_of_join(join: Join, code: Tensor, local: Tensor) -> list[Tensor]:
    """Return the weights of a join: the leaves of the graph of one score."""
    with torch.enable_grad():
        score = join(code[:1, :1].detach(), local[:1, :1].detach())
    found, seen, queue = [], set(), [score.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        queue.extend(before for before, _ in node.next_functions)
    return found


class InBlocks(torch.autograd.Function):
    """A bound whose gradient is computed in the forward pass, block by block.

    The total's gradient in an anchor's statistics is known before its block is scored: constant if
    the total is linear, else from a first pass. So scores are neither stored nor recomputed.
    """

    @staticmethod
    def forward(ctx: Any, task: BlockTask, code: Tensor, local: Tensor, *weights: Tensor) -> Tensor:
        """Return the bound, and keep its gradient in code, local and weights."""
        shares = gradient_of_total(task, code, local)
        # Sums over blocks need at least single precision.
        given = [code, local, *weights]
        gradients = [
            torch.zeros_like(of, dtype=torch.promote_types(of.dtype, torch.float32)) for of in given
        ]
        of_code, of_local, *of_weights = gradients
        statistics = []
        for block, taken in take_blocks(code, local, task.rows, task.size):
            anchors = slice(block.start * code.shape[1], block.stop * code.shape[1])
            with torch.enable_grad():
                taken = [part.detach().requires_grad_() for part in taken]
                gain, cost = task.bound.anchors(*score_block(task.join, taken, block))
                part = gain @ shares[0][anchors] + cost @ shares[1][anchors]
            # In the precision of forward.
            with torch.autocast(part.device.type, enabled=False):
                added = torch.autograd.grad(part, [*taken, *weights])
            of_code[block] += added[0]
            if task.rows is None:
                of_local += added[1]
            else:
                of_local[block] += added[1]
                # Added up, since a location may be drawn repeatedly.
                rows, negative = task.rows[block].flatten(), added[2].flatten(0, 1)
                of_local.view(-1, of_local.shape[2]).index_add_(0, rows, negative.to(of_local))
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
        return (None, *(upstream * gradient for gradient in ctx.saved_tensors))


def gradient_of_total(task: BlockTask, code: Tensor, local: Tensor) -> tuple[Tensor, ...]:
    """Return the total's gradient in both statistics of every anchor."""
    if task.bound.additive:
        dtype = torch.promote_types(code.dtype, torch.float32)
        statistics = [torch.zeros(code.shape[:2].numel(), dtype=dtype, device=code.device)] * 2
    else:
        statistics = list(statistics_of(task, code, local))
    with torch.enable_grad():
        statistics = [part.detach().requires_grad_() for part in statistics]
        total = task.bound.total(*statistics)
    return torch.autograd.grad(total, statistics)
