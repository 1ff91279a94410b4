"""An epoch as batches, and how a step on one computes: rate, precision, compiled or not, draws."""

import copy
import math
import platform
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Reading
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from skdim.encoders import Features
from skdim.inputs import Samples
from skdim.objectives import AbstractCriterion, Batch

__all__ = [
    "PRECISIONS",
    "SCHEDULES",
    "Batches",
    "Schedule",
    "check_precision",
    "compiled",
    "computing_in",
    "drawing_before",
    "find_schedule",
    "has_bfloat16",
    "mean_of",
]

# From the share of the steps taken, in [0, 1), to a factor of the learning rate.
Schedule = Callable[[float], float]

# Share of the steps in which "one_cycle" increases the learning rate.
WARMUP = 0.1

PRECISIONS = ("float32", "bfloat16")

# Names of draws, and how they are made.
Plan = dict[str, Callable[[Generator], Tensor]]
# Of looks (n_looks * n, *shape), their number and a batch.
Step = Callable[[Tensor, int, Batch], Any]


class Batches:
    """All samples once, in batches of about equal size.

    No batch has a single sample unless there is only one, since a single sample has no negatives
    and no variance. No batch is larger than ``batch_size``, except one of three samples if
    ``batch_size`` is 2 and the number of samples is odd.

    With ``overlap``, all batches are of ``batch_size``, or of all samples if there are fewer: then
    some samples are in two batches, and all have the same number of others beside them.

    Parameters
    ----------
    rows : Samples
    batch_size : int
    generator : Generator
        Source of all random draws.
    shuffle : bool
        Whether the order is drawn in each epoch.
    overlap : bool, default=False
    """

    def __init__(
        self,
        rows: Samples,
        batch_size: int,
        generator: Generator,
        *,
        shuffle: bool,
        overlap: bool = False,
    ) -> None:
        self.rows = rows
        self.generator = generator
        self.shuffle = shuffle
        n_batches = math.ceil(len(rows) / batch_size)
        self.n_batches = max(1, n_batches if overlap else min(n_batches, len(rows) // 2))
        self.size = min(batch_size, len(rows)) if overlap else None

    def __len__(self) -> int:
        """Count the batches."""
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        indices = self.indices()
        with closing(self.read(indices)) as samples:
            for index, x in zip(indices, samples, strict=True):
                looks = x if self.rows.n_looks > 1 else None
                x = x if looks is None else x[:, 0]
                yield Batch(x, index, self.rows.labels[index], self.generator, looks=looks)

    def read(self, indices: Sequence[Tensor]) -> Reading[Tensor, None, None]:
        """Read the samples of each batch, one batch after the other."""
        return self.rows.read(indices, self.generator)

    def indices(self) -> Sequence[Tensor]:
        """Return the numbers of the samples of each batch of one epoch."""
        numbers = self.rows.numbers
        if self.shuffle:
            device = self.rows.device
            numbers = numbers[torch.randperm(len(numbers), generator=self.generator, device=device)]
        if self.size is None:
            return numbers.tensor_split(self.n_batches)
        last = len(numbers) - self.size
        starts = [last * i // max(self.n_batches - 1, 1) for i in range(self.n_batches)]
        return [numbers[start : start + self.size] for start in starts]


def mean_of(steps: list[dict[str, Tensor]], sizes: list[int]) -> dict[str, float]:
    """Average the values of batches, weighted by their sizes; the device is read once."""
    columns = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
    first = next(iter(columns.values()))
    weights = torch.tensor(sizes, dtype=first.dtype, device=first.device)
    ratios = [
        # Pairs are a sum and a count.
        column.sum(dim=0) if column.ndim == 2 else torch.stack([weights @ column, weights.sum()])
        for column in columns.values()
    ]
    sums, counts = torch.stack(ratios).unbind(dim=1)
    return dict(zip(columns, (sums / counts).tolist(), strict=True))


def cosine(progress: float) -> float:
    """Decrease from 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def one_cycle(progress: float) -> float:
    """Increase linearly to 1 over a tenth of the steps, then decrease along half a cosine."""
    if progress < WARMUP:
        return 0.04 + 0.96 * progress / WARMUP
    return cosine((progress - WARMUP) / (1 - WARMUP))


SCHEDULES: dict[str, Schedule] = {
    "constant": lambda progress: 1.0,
    "cosine": cosine,
    "one_cycle": one_cycle,
}


def find_schedule(schedule: str | Schedule) -> Schedule:
    """Return a schedule by its key, or as it is."""
    return SCHEDULES[schedule] if isinstance(schedule, str) else schedule


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which networks compute in a precision.

    With bfloat16, matrix products, convolutions and what lies between them are computed in it;
    weights, the optimizer and the bounds stay in float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def compiled(run: Callable[..., Any], mode: bool | str, device: torch.device) -> Callable[..., Any]:
    """Return a function, compiled unless ``mode`` is False; True chooses the mode."""
    if not mode:
        return run
    if not isinstance(mode, str):
        # CUDA graphs: small networks are limited by the launches of kernels.
        mode = "reduce-overhead" if device.type == "cuda" else "default"
    # Batches have one of two sizes: static shapes are faster.
    return torch.compile(run, dynamic=False, mode=mode)


def check_precision(precision: str, device: torch.device) -> None:
    """Raise a ValueError for bfloat16 on a device that only emulates it, which is slower."""
    if precision == "bfloat16" and not has_bfloat16(device):
        raise ValueError(
            f"precision='bfloat16' needs bfloat16 instructions, which {device} does not have "
            "(processors: AVX512-BF16, AMX or ARM's BF16; NVIDIA: from Ampere on). "
            "Use precision='float32'."
        )


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16."""
    if device.type != "cpu":
        return has_bfloat16_multiplication(device)
    if platform.machine().lower() in ("x86_64", "amd64"):
        # torch has no public name for these.
        return bool(
            torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
            or torch.cpu._is_amx_tile_supported()  # noqa: SLF001
        )
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001


def has_bfloat16_multiplication(device: torch.device) -> bool:
    """Whether an accelerator says that it multiplies in bfloat16, or else whether it does."""
    try:
        ask = getattr(torch.get_device_module(device), "is_bf16_supported", None)
        if ask is not None:
            return bool(ask(including_emulation=False))
        one = torch.ones(1, 1, dtype=torch.bfloat16, device=device)
        return (one @ one).item() == 1
    except (RuntimeError, TypeError):  # depends on the backend
        return False


def drawing_before(run: Step, module: nn.Module, criterion: AbstractCriterion) -> Step:
    """Return a step that makes all draws of ``Batch.draw`` first, in the same order.

    torch.compile cannot trace generators. The module maps samples to features.
    """
    plans: dict[int, Plan] = {}  # For each number of samples.

    def step(x: Tensor, n_looks: int, batch: Batch) -> Any:
        n = len(batch.index)
        if n not in plans:
            plans[n] = plan_draws(*copy.deepcopy((module, criterion)), x, n_looks, batch)
        drawn = {name: make(batch.generator) for name, make in plans[n].items()}
        return run(x, n_looks, replace(batch, drawn=drawn))

    return step


def plan_draws(
    module: nn.Module, criterion: AbstractCriterion, x: Tensor, n_looks: int, batch: Batch
) -> Plan:
    """Find what a step of these copies draws, here from a generator of its own."""
    features: Features = module.eval()(x)
    plan: Plan = {}
    own = Generator(device=x.device)
    criterion(features.split(n_looks), replace(batch, generator=own, planned=plan, notes={}))
    return plan
