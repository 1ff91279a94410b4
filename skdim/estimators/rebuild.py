"""Take a net apart into arrays and lists, and build it again; weights are compared before."""

import warnings
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skdim.encoders import LAYERS, Features
from skdim.estimators.build import (
    Spec,
    assemble,
    build_criterion,
    build_encoder,
    find_device,
    wrap_encoder,
)
from skdim.parameters import cut, stacklevel_of_user
from skdim.random import seeded
from skdim.saving import Stored, mapped
from skdim.training import SETTINGS, EncoderNet

__all__ = ["find_device_here", "give_back", "load_net", "take_out"]

# Most numbers in one sample or in one layer of its features: far above any that fit.
LARGEST_SAMPLE = 2**28

# Of a module by their names: in memory, or in a file.
Arrays = Mapping[str, NDArray[Any] | Stored]


def take_out(net: EncoderNet) -> dict[str, Any]:
    """Return the state of a net, from which ``load_net`` and ``give_back`` restore it.

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


def as_arrays(tree: dict[str, Any]) -> Any:
    """Return a nested value with arrays on the CPU in place of tensors."""
    return mapped(tree, lambda v, _: v.detach().cpu().numpy() if isinstance(v, Tensor) else v)


def give_back(net: EncoderNet, kept: Mapping[str, Any]) -> None:
    """Restore all but the weights of a new net from the result of ``take_out``."""
    for name in SETTINGS:
        setattr(net, name, kept["settings"][name])
    # skorch expects a list of batches in each epoch.
    net.history.extend({"batches": [{}], **epoch} for epoch in kept["books"])
    if kept["optimizer"] is not None:
        net.make_optimizer()
        net.optimizer_.load_state_dict(
            mapped(
                kept["optimizer"], lambda v, _: torch.tensor(v) if isinstance(v, np.ndarray) else v
            )
        )
    net.module_.eval()
    net.criterion_.eval()


def load_net(
    spec: Spec,
    sizes: Features,
    weights: Mapping[str, Arrays],
    device: torch.device,
    kind: type[EncoderNet],
    own: Collection[str] = (),
) -> EncoderNet:
    """Build a net without memory for its numbers, and give it weights.

    Parameters
    ----------
    spec : Spec
    sizes : Features
        Features of two samples, which may be without memory.
    weights : mapping of {"module", "criterion"} to mapping of str to ndarray or Stored
    device : torch.device
    kind : type
        Class of the net.
    own : collection of str, default=()
        Parameters of the user's own making, which are built with memory.

    Raises
    ------
    ValueError
        If the parameters build no net, or the weights are not those of such a net.
    """
    largest = max(spec.layout.n_features, *(getattr(sizes, layer)[0].numel() for layer in LAYERS))
    if largest > LARGEST_SAMPLE:
        raise ValueError(f"A sample or its features have {largest} numbers: too many.")
    meta = torch.device("meta")
    with seeded(0, torch.device("cpu")):
        try:
            with nullcontext() if {"encoder", "objective"} & {*own} else meta:
                module = build_encoder(spec.encoder, spec.n_components, spec.layout)
                wrap_encoder(module, spec, sizes)
            load_weights(module, weights["module"], "encoder")
            # What an objective finds out by asking the encoder, it finds out of the trained one.
            module.eval()
            with nullcontext() if own else meta:
                criterion = build_criterion(spec, module, sizes)
        except (ArithmeticError, LookupError, RuntimeError, TypeError) as error:
            raise ValueError(f"The parameters build no net: {error}") from error
        load_weights(criterion, weights["criterion"], "objective")
    return assemble(spec, module, criterion, device, kind)


def load_weights(module: nn.Module, arrays: Arrays, what: str) -> None:
    """Set all weights and buffers of a module that may have no memory; see ``check_sizes``."""
    check_sizes(module, arrays, what)
    tensors = {
        name: values.read() if isinstance(values, Stored) else torch.tensor(values)
        for name, values in arrays.items()
    }
    module.load_state_dict(tensors, assign=True)


def check_sizes(module: nn.Module, arrays: Arrays, what: str) -> None:
    """Raise an error for weights that are not those of a module.

    Raises
    ------
    ValueError
        Listing what is missing, what is there beside it, and what has another shape or type.
    """
    state = module.state_dict()
    unlike = [
        f"{name} is {said(arrays[name])}, not {said(state[name])}"
        for name in state
        if name in arrays and said(arrays[name]) != said(state[name])
    ]
    listed = {
        "missing": [name for name in state if name not in arrays],
        "not known": [name for name in arrays if name not in state],
        "of another size": unlike,
    }
    faults = [
        f"{fault}: {cut(', '.join(names[:5]))}{f' and {len(names) - 5} more' * (len(names) > 5)}"
        for fault, names in listed.items()
        if names
    ]
    if faults:
        raise ValueError(f"The weights are not those of this {what}; {'; '.join(faults)}.")


def said(values: NDArray[Any] | Stored | Tensor) -> str:
    """Describe an array or a tensor."""
    return f"{str(values.dtype).removeprefix('torch.')} of shape {tuple(values.shape)}"


def find_device_here(name: str, wanted: str | torch.device) -> torch.device:
    """Find the device where a net was, or else the CPU.

    Warns
    -----
    UserWarning
        If the transformer names a device that is not here: its next ``fit`` will fail.
    """
    try:
        return find_device(name)
    except ValueError as error:
        if wanted != "auto":
            warnings.warn(
                f"The transformer was fitted on device={wanted!r} and is now on the CPU: {error} "
                "To fit it again here, call set_params(device='auto') first.",
                stacklevel=stacklevel_of_user(),
            )
        return torch.device("cpu")
