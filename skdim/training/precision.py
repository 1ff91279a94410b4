"""In which numbers a training step computes."""

import platform
from contextlib import AbstractContextManager

import torch

__all__ = ["PRECISIONS", "check_precision", "computing_in", "device_or_cpu"]

PRECISIONS = ("float32", "bfloat16")


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Compute in a precision for a while.

    Parameters
    ----------
    precision : {"float32", "bfloat16"}
        With bfloat16, matrix products and convolutions, and what lies between them, are computed
        in it; weights, the optimizer and the bounds stay in float32.
    device : torch.device

    Returns
    -------
    context manager
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def check_precision(precision: str, device: torch.device) -> None:
    """Raise an error for a precision that the device only emulates.

    Raises
    ------
    ValueError
        If the device has no instructions for bfloat16: there training would be slower, not faster.
    """
    if precision == "bfloat16" and not has_bfloat16(device):
        raise ValueError(
            f"precision='bfloat16' needs bfloat16 instructions, which {device} has not "
            "(processors: AVX512-BF16, AMX or ARM's BF16; NVIDIA: from Ampere on). "
            "Use precision='float32'."
        )


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 by itself."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        # torch has no public word for these.
        return bool(
            torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
            or torch.cpu._is_amx_tile_supported()  # noqa: SLF001
        )
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001


def device_or_cpu(name: str) -> torch.device:
    """Return a device, or the CPU where the device is not available."""
    try:
        torch.zeros(1, device=name)
    except (AssertionError, ImportError, RuntimeError):  # each backend in its own way
        return torch.device("cpu")
    return torch.device(name)
