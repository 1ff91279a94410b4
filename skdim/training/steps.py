"""How a step computes: its learning rate, its precision, compiled or not, and what it draws."""

import copy
import math
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from skdim.encoders import Features
from skdim.objectives import AbstractCriterion, Batch

__all__ = [
    "PRECISIONS",
    "SCHEDULES",
    "PlannedDraws",
    "Schedule",
    "check_precision",
    "compiled",
    "computing_in",
    "find_schedule",
    "has_bfloat16",
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


class PlannedDraws:
    """Draw what a criterion asks ``Batch.draw`` for, in the same order, before it is called.

    torch.compile cannot trace generators.

    Parameters
    ----------
    module : Module
        Maps samples to features.
    criterion : AbstractCriterion
    """

    def __init__(self, module: nn.Module, criterion: AbstractCriterion) -> None:
        self.parts = module, criterion
        self.plans: dict[int, Plan] = {}  # For each number of samples.

    def before(self, run: Step) -> Step:
        """Return a step that is called with the draws."""
        return lambda x, n_looks, batch: run(x, n_looks, self.add_to(batch, x, n_looks))

    def add_to(self, batch: Batch, x: Tensor, n_looks: int) -> Batch:
        """Return a batch with all draws of a step whose looks are ``x``, (n_looks * n, *shape)."""
        n = len(batch.index)
        if n not in self.plans:
            self.plans[n] = self.plan(batch, x, n_looks)
        drawn = {name: make(batch.generator) for name, make in self.plans[n].items()}
        return replace(batch, drawn=drawn)

    def plan(self, batch: Batch, x: Tensor, n_looks: int) -> Plan:
        """Find what is drawn, by a step of copies that draws from a generator of its own."""
        module, criterion = copy.deepcopy(self.parts)
        features: Features = module.eval()(x)
        planned: Plan = {}
        generator = Generator(device=x.device)
        criterion(
            features.split(n_looks), replace(batch, generator=generator, planned=planned, notes={})
        )
        return planned
