"""Communication of the processes that train one model."""

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = [
    "GatherFeatures",
    "add_up",
    "agree_on_seed",
    "ask_all",
    "find_own_device",
    "gather_rows",
    "is_shared",
    "sizes_of_parts",
    "start_accelerate",
    "tell_all",
]

Value = TypeVar("Value")


def start_accelerate() -> Any:
    """Join the other processes, and return an ``accelerate.Accelerator``.

    Raise a ValueError if accelerate is not set up for whole models on all processes.
    """
    try:
        from accelerate import Accelerator  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise ImportError(
            "device='accelerate' needs the package accelerate. Install it with "
            "pip install 'scikit-deepinfomax[distributed]', or use device='auto'."
        ) from error
    # By default, it does not connect launched processes where there is no accelerator.
    accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="no")
    check_launch(accelerator)
    return accelerator


def find_own_device() -> torch.device:
    """Return the device that accelerate has chosen for this process."""
    device: torch.device = start_accelerate().device
    return torch.device("cpu") if device.type == "cpu" else device  # without an index


def is_shared(device: str | torch.device) -> bool:
    """Whether several processes train one model, and ``device`` asks for it."""
    return bool(device == "accelerate" and start_accelerate().num_processes > 1)


def agree_on_seed(device: str | torch.device, seed: int) -> int:
    """Return the seed of the first process if several train one model."""
    return tell_all(seed) if is_shared(device) else seed


def check_launch(accelerator: Any) -> None:
    """Raise a ValueError for launches that split a model, or train one model per process."""
    kind = accelerator.distributed_type.value
    if kind != "NO" and not kind.startswith("MULTI_"):
        raise ValueError(
            f"accelerate is set up for {kind}. device='accelerate' trains whole models on several "
            "processes. Launch with --multi_gpu, without FSDP, DeepSpeed or Megatron-LM."
        )
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise ValueError(
            f"{launched} processes were launched, but accelerate sees {accelerator.num_processes}. "
            "Set the environment variable ACCELERATE_USE_CPU=true to run on the CPU, and create no "
            "Accelerator with other settings before fit."
        )


def tell_all(value: Value) -> Value:
    """Return the value of the first process on all."""
    from accelerate.utils import broadcast_object_list  # noqa: PLC0415

    values: list[Value] = broadcast_object_list([value])
    return values[0]


def ask_all(value: Value) -> list[Value]:
    """Return the values of all processes on each."""
    from accelerate.utils import gather_object  # noqa: PLC0415

    return list(gather_object([value]))


def add_up(part: Tensor, device: torch.device) -> Tensor:
    """Return the sum of a tensor over all processes, which exchange it by ``device``."""
    total = part.to(device, copy=True)  # The tensor may be part of several sums.
    torch.distributed.all_reduce(total)
    return total.cpu()


def sizes_of_parts(n: int, n_parts: int) -> list[int]:
    """Return the sizes of the parts that ``Tensor.tensor_split`` returns."""
    return [n // n_parts + (part < n % n_parts) for part in range(n_parts)]


def gather_rows(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """Concatenate rows (own size, ...) of all processes to (sum of sizes, ...)."""
    from accelerate.utils import gather  # noqa: PLC0415

    # Only tensors of one size can be gathered.
    most = max(sizes)
    missing = most - len(rows)
    padded = pad(rows, (0, 0) * (rows.ndim - 1) + (0, missing)) if missing else rows
    gathered: Tensor = gather(padded)
    if min(sizes) == most:
        return gathered
    parts = zip(gathered.split(most), sizes, strict=True)
    return torch.cat([part[:size] for part, size in parts])


class GatherFeatures(torch.autograd.Function):
    """Gather rows of all processes, with gradients for those of this process.

    Every process computes the same loss from all rows, and so the gradient of all rows. The
    gradient of the encoder's weights is the sum, over processes, of what flows through their own
    rows. Since gradients are then averaged over processes, each is multiplied by their number.
    Layers that the loss does not use have gradients of 0, so that all weights are averaged.
    """

    @staticmethod
    def forward(ctx: Any, sizes: list[int], rank: int, *layers: Tensor) -> tuple[Tensor, ...]:
        """Gather each layer."""
        ctx.n_processes = len(sizes)
        ctx.own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        return tuple(gather_rows(layer, sizes) for layer in layers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the rows of this process."""
        return (None, None, *(ctx.n_processes * gradient[ctx.own] for gradient in gradients))
