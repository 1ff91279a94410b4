"""Precision, compilation and device of training steps."""

import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

__all__ = ["PRECISIONS", "check_precision", "compiled", "computing_in"]

PRECISIONS = ("float32", "bfloat16")


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
