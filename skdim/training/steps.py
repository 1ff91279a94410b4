"""Batches of an epoch; learning rate, precision and compilation of a step, and its draws."""

import copy
import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Generator as Reading
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from skorch import NeuralNet
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode

from skdim.inputs import Samples
from skdim.objectives import Batch
from skdim.random import seeded
from skdim.views import view_of_one

Looks = tuple[Tensor, ...]
# Terms of the loss, and the codes of the first look.
Terms = tuple[dict[str, Tensor], Tensor]
# Of a batch and its looks, which are drawn if None.
Step = Callable[[Batch, Looks | None], Terms]

# From the share of the steps taken, in [0, 1), to a factor of the learning rate.
Schedule = Callable[[float], float]

# Share of the steps in which "one_cycle" increases the learning rate.
WARMUP = 0.1

PRECISIONS = ("float32", "bfloat16")


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


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which networks compute in a precision.

    With bfloat16, matrix products, convolutions and the layers between them are computed in it;
    weights, the optimizer and the bounds stay in float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def compiled(run: Callable[..., Any], mode: bool | str, device: torch.device) -> Callable[..., Any]:
    """Return a function, compiled in a mode of torch; True chooses the mode."""
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
    """Whether an accelerator multiplies in bfloat16, by its own report or by a test."""
    try:
        supported = getattr(torch.get_device_module(device), "is_bf16_supported", None)
        if supported is not None:
            return bool(supported(including_emulation=False))
        one = torch.ones(1, 1, dtype=torch.bfloat16, device=device)
        return (one @ one).item() == 1
    except (RuntimeError, TypeError):  # depends on the backend
        return False


class Recording(TorchFunctionMode):
    """Record the draws from generators, whose states are restored at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[Callable[[], Tensor]] = []
        self.states: dict[Generator, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch."""
        kwargs = kwargs or {}
        if is_draw(args, kwargs):
            generator = kwargs["generator"]
            self.states.setdefault(generator, generator.get_state())
            self.draws.append(partial(func, *args, **kwargs))
        return func(*args, **kwargs)

    def __exit__(self, *error: object) -> None:
        """Restore the states."""
        super().__exit__(*error)
        for generator, state in self.states.items():
            generator.set_state(state)


class Replaying(TorchFunctionMode):
    """Return given tensors, in the same order, in place of draws from generators."""

    def __init__(self, drawn: Sequence[Tensor]) -> None:
        super().__init__()
        self.drawn = drawn
        self.n_used = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, unless it draws."""
        kwargs = kwargs or {}
        if not is_draw(args, kwargs):
            return func(*args, **kwargs)
        self.n_used += 1
        return self.drawn[self.n_used - 1]


def is_draw(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of torch draws a new tensor from a generator, with nothing computed before."""
    drawing = kwargs.get("generator") is not None
    return drawing and not any(isinstance(arg, Tensor) for arg in args)


def drawing_before(run: Step, mode: bool | str, device: torch.device, trial: Step) -> Step:
    """Return a step, compiled, of which all draws are made before it, in the same order.

    torch.compile cannot trace generators. The draws are recorded in ``trial``, which computes the
    same as ``run`` and changes nothing, once for each number of samples.
    """

    def replay(drawn: Sequence[Tensor], batch: Batch, looks: Looks | None) -> Terms:
        with Replaying(drawn):
            return run(batch, looks)

    replay_compiled = compiled(replay, mode, device)
    recorded: dict[int, list[Callable[[], Tensor]]] = {}

    def step(batch: Batch, looks: Looks | None) -> Terms:
        n = len(batch.index)
        if n not in recorded:
            with Recording() as recording:
                trial(batch, looks)
            recorded[n] = recording.draws
        drawn = [draw() for draw in recorded[n]]
        terms: Terms = replay_compiled(drawn, batch, looks)
        return terms

    return step


def compile_terms(net: NeuralNet, device: torch.device) -> Callable[[Batch], Terms]:
    """Compile ``terms`` of an ``EncoderNet``; looks of a user's own view are drawn before it."""

    def trial(batch: Batch, looks: Looks | None) -> Terms:
        parts = copy.deepcopy((net.module_, net.criterion_))
        batch, looks = replace(batch, notes={}), looks or net.look(batch)
        with seeded(0, device):
            terms: Terms = net.compare(*parts, looks, batch)
        return terms

    if net.is_single:
        run: Step = drawing_before(net.terms, net.compiling, device, trial)
    else:  # Several processes have several generators.
        run = compiled(net.terms, net.compiling, device)
    inside = net.is_single and type(view_of_one(net.view)).__module__.startswith("skdim.")
    return lambda batch: run(batch, None if inside else net.look(batch))
