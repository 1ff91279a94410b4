"""The devices of torch: which one to use, and the state of its default generator."""

import warnings

import torch
from torch import Generator, Tensor

# Errors that backends raise for a device that cannot be used.
UNUSABLE = (AssertionError, ImportError, RuntimeError, TypeError)


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
        warnings.warn(
            f"device='auto' uses the CPU: torch finds the accelerator {device.type!r}, but it "
            f"cannot be used: {first_line(error)}.",
            stacklevel=2,
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
