"""Conversion of a trained net to arrays and lists, without objects of skorch, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.history import History
from torch import Tensor

from skdim.saving import mapped
from skdim.training.net import EncoderNet

__all__ = ["SETTINGS", "Weights", "give_back", "take_out"]

Weights = dict[str, dict[str, NDArray[Any]]]

# What ``EncoderNet.plan`` sets, by its names.
SETTINGS = ("batch_size", "lr", "verbose", "precision", "compiling", "schedule")


def take_out(net: EncoderNet) -> dict[str, Any]:
    """Return the state of a net, from which ``give_back`` restores it.

    Returns
    -------
    dict
        ``weights`` of "module" and "criterion", ``books`` (the history, a dict per epoch),
        ``settings``, ``device`` and ``optimizer`` (its state, or None).

    Raises
    ------
    TypeError
        If NumPy does not support a dtype of the weights.
    """
    optimizer = net.optimizer_
    return {
        "weights": as_arrays(net.state()),
        "books": [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history],
        "settings": {name: getattr(net, name) for name in SETTINGS},
        "device": str(net.device),
        "optimizer": None if optimizer is None else as_arrays(optimizer.state_dict()),
    }


def give_back(net: EncoderNet, kept: Mapping[str, Any]) -> None:
    """Restore all but the weights of a net from the result of ``take_out``."""
    for name in SETTINGS:
        setattr(net, name, kept["settings"][name])
    # skorch expects a list of batches in each epoch.
    net.history_ = History([{"batches": [{}], **epoch} for epoch in kept["books"]])
    if kept["optimizer"] is not None:
        net.make_optimizer()
        net.optimizer_.load_state_dict(
            mapped(
                kept["optimizer"], lambda v, _: torch.tensor(v) if isinstance(v, np.ndarray) else v
            )
        )
    net.module_.eval()
    net.criterion_.eval()


def as_arrays(tree: dict[str, Any]) -> Any:
    """Return a nested value with arrays on the CPU in place of tensors."""
    return mapped(tree, lambda v, _: v.detach().cpu().numpy() if isinstance(v, Tensor) else v)
