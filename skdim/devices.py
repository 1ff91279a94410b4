"""The devices of torch: which one to use, and the state of its default generator."""

import os
from typing import Any

import torch
from torch import Generator, Tensor

from skdim.parameters import shown, warn_user

# Errors that backends raise for a device that cannot be used.
UNUSABLE = (AssertionError, ImportError, RuntimeError, TypeError)


def find_device(name: str | torch.device) -> torch.device:
    """Return the device of a parameter; raise a ValueError if it cannot be used."""
    if name == "auto":
        return find_accelerator()
    device = parse_device(name)
    try:
        check_device(device)
    except UNUSABLE as error:
        seen = f" torch sees {torch.cuda.device_count()} CUDA devices." * (device.type == "cuda")
        raise ValueError(
            f"device={shown(name)} cannot be used here: {first_line(error)}.{seen} "
            "Use device='auto' or 'cpu', or a torch that was built for this device."
        ) from error
    return device


def parse_device(name: str | torch.device) -> torch.device:
    """Return the device of a name other than "auto"; raise a ValueError if it is invalid."""
    if name == "accelerate":
        device: torch.device = start_accelerate().device
        return torch.device("cpu") if device.type == "cpu" else device  # without an index
    try:
        return torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={shown(name)} is not a valid device. Use 'auto', 'cpu', 'cuda', 'cuda:0', "
            "'accelerate', ..."
        ) from error


def find_device_here(name: str, wanted: str | torch.device) -> torch.device:
    """Return the device of a saved net, or else the CPU; warn if ``fit`` would fail there."""
    try:
        return find_device(name)
    except ValueError as error:
        if wanted != "auto":
            warn_user(
                f"The transformer was fitted on device={wanted!r} and is now on the CPU: {error} "
                "To fit it again here, call set_params(device='auto') first."
            )
        return torch.device("cpu")


def find_accelerator() -> torch.device:
    """Return the accelerator of torch if there is one that works, else the CPU.

    Warns
    -----
    UserWarning
        If there is an accelerator, but it cannot be used.
    """
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if device is None:
        return torch.device("cpu")
    try:
        check_device(device)
    except UNUSABLE as error:
        warn_user(
            f"device='auto' uses the CPU: torch finds the accelerator {device.type!r}, but it "
            f"cannot be used: {first_line(error)}."
        )
        return torch.device("cpu")
    return device


def check_device(device: torch.device) -> None:
    """Raise an error, whose type depends on the backend, if a device cannot draw and multiply."""
    torch.zeros(1, device=device)  # In a forked process, its error explains what to do.
    drawn = torch.rand(2, 2, generator=Generator(device=device), device=device)
    (drawn @ drawn).sum().item()


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, without a full stop."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


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


def device_or_cpu(name: str) -> torch.device:
    """Return a device, or the CPU where the device is not available."""
    try:
        torch.zeros(1, device=name)
    except UNUSABLE:
        return torch.device("cpu")
    return torch.device(name)


def free_memory(device: torch.device) -> int | None:
    """Return the free memory of an accelerator in bytes, or None if its backend has no figure."""
    query = getattr(getattr(torch, device.type, None), "mem_get_info", None)
    return None if query is None else int(query(device)[0])


def generator_state(device: torch.device) -> Tensor:
    """Return the state of the default generator of a device."""
    state: Tensor = torch.get_device_module(device).get_rng_state(device)
    return state


def set_generator_state(device: torch.device, state: Tensor) -> None:
    """Set the state of the default generator of a device."""
    torch.get_device_module(device).set_rng_state(state, device)


def seed_generator(device: torch.device, seed: int) -> None:
    """Seed only the default generator of a device."""
    set_generator_state(device, Generator(device=device).manual_seed(seed).get_state())
