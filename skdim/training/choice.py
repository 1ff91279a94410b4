"""Which loop trains: that of one process or that of several."""

from typing import Any

from skdim.training.net import EncoderNet
from skdim.training.processes import start_accelerate, tell_all

__all__ = ["agree_on_seed", "choose_net"]

# What the user writes as a device.
ACCELERATE = "accelerate"


def choose_net(device: Any) -> type[EncoderNet]:
    """Choose the loop: that of several processes where ``device`` asks for it and there are."""
    if not is_shared(device):
        return EncoderNet
    # Here, since it takes a while to import and is seldom needed.
    from skdim.training.distributed import AcceleratedNet  # noqa: PLC0415

    return AcceleratedNet


def agree_on_seed(device: Any, seed: int) -> int:
    """Take the first process's seed, where ``device`` asks for several processes."""
    return int(tell_all(seed)) if is_shared(device) else seed


def is_shared(device: Any) -> bool:
    """Whether several processes train, and ``device`` asks them to train one model."""
    return bool(device == ACCELERATE and start_accelerate().num_processes > 1)
