"""Other processes that train the same model: joining them, asking them, gathering from them."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = [
    "GatherFeatures",
    "add_up",
    "ask_all",
    "find_own_device",
    "gather_rows",
    "sizes_of_parts",
    "start_accelerate",
    "tell_all",
]


def start_accelerate() -> Any:
    """Return accelerate's state of this process, and join the others where there are some.

    Returns
    -------
    accelerate.Accelerator
        Without its mixed precision, its compilation and its placing of modules.

    Raises
    ------
    ImportError
        If accelerate is not installed.
    ValueError
        If it is set up for anything but whole models on all processes.
    """
    try:
        from accelerate import Accelerator  # noqa: PLC0415 - an optional package
        from accelerate.utils import GradientAccumulationPlugin  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "device='accelerate' needs the package accelerate. Install it with "
            "pip install 'scikit-deepinfomax[distributed]', or use device='auto'."
        ) from error
    accelerator = Accelerator(
        # Without a word it would take launched processes for lone ones where there is no
        # accelerator.
        cpu=not torch.accelerator.is_available(),
        device_placement=False,
        dynamo_backend="no",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        mixed_precision="no",
    )
    check_launch(accelerator)
    return accelerator


def find_own_device() -> torch.device:
    """Return the device that accelerate has chosen for this process."""
    device: torch.device = start_accelerate().device
    return torch.device("cpu") if device.type == "cpu" else device  # It counts CPUs too.


def check_launch(accelerator: Any) -> None:
    """Raise an error for launches that split a model, or train one model a process."""
    kind = accelerator.distributed_type.value
    if kind != "NO" and not kind.startswith("MULTI_"):
        raise ValueError(
            f"accelerate is set up for {kind}. device='accelerate' trains whole models on several "
            "processes: launch with --multi_gpu, without FSDP, DeepSpeed or Megatron-LM."
        )
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise ValueError(
            f"{launched} processes were launched, but accelerate sees {accelerator.num_processes}. "
            "Set the environment variable ACCELERATE_USE_CPU=true to run on the CPU, and make no "
            "Accelerator with other settings before fit."
        )


def tell_all(value: Any) -> Any:
    """Broadcast a value of the first process to all."""
    from accelerate.utils import broadcast_object_list  # noqa: PLC0415

    return broadcast_object_list([value])[0]


def ask_all(value: Any) -> list[Any]:
    """Gather a value of each process on all."""
    from accelerate.utils import gather_object  # noqa: PLC0415

    return list(gather_object([value]))


def add_up(part: Tensor, device: torch.device) -> Tensor:
    """Sum what all processes have, in float64, which is exact to rounding.

    Parameters
    ----------
    part : Tensor
        On the CPU.
    device : torch.device
        On which processes exchange tensors.
    """
    total = part.to(device, copy=True)  # One tensor may stand in several sums.
    torch.distributed.all_reduce(total)
    return total.cpu()


def sizes_of_parts(n: int, n_parts: int) -> list[int]:
    """Return the sizes that ``Tensor.tensor_split`` cuts n into: equal but for one."""
    return [n // n_parts + (part < n % n_parts) for part in range(n_parts)]


def gather_rows(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """Lay the rows of all processes one after the other.

    Parameters
    ----------
    rows : Tensor of shape (own size, ...)
    sizes : sequence of int
        Number of rows of each process.

    Returns
    -------
    Tensor of shape (sum of sizes, ...)
    """
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
    """Gather rows so that gradients reach those of this process.

    Every process computes the same loss L from all rows, and so has dL/drows whole: nothing need
    be sent back. Row i is encoded by one process only, so that the gradient of the encoder's
    weights is the sum, over processes, of what flows through their own rows. As gradients are
    then averaged over processes, each sends its own through multiplied by their number.

    A layer that the loss does not look at gets zeros, so that all weights of an encoder have
    gradients to average.
    """

    @staticmethod
    def forward(ctx: Any, sizes: list[int], rank: int, *layers: Tensor) -> tuple[Tensor, ...]:
        """Gather each layer."""
        ctx.n_processes = len(sizes)
        ctx.own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        return tuple(gather_rows(layer, sizes) for layer in layers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Let through what is this process's own."""
        return (None, None, *(ctx.n_processes * gradient[ctx.own] for gradient in gradients))
