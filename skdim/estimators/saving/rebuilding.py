"""A fitted transformer in plain parts, and back: the net is built again, then given its weights.

So a pickle holds arrays and our own small objects, and nothing of torch or skorch; and a file holds
the same in JSON and tensors. What a user has made (modules, callables) is not built again: there
the net is pickled as it is.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from skdim.encoders import LAYERS, Features
from skdim.estimators.parts import OPTIMIZERS, find_device, find_view
from skdim.estimators.sketch import Sketch
from skdim.inputs import Layout, Rows, Standardise
from skdim.inputs.draws import seeded
from skdim.objectives import AbstractObjective, Setting
from skdim.persistence import NotPlainError, encode
from skdim.training import EncoderNet, choose_net, give_back, take_out
from skdim.views import View

__all__ = [
    "NOT_BUILT_FROM",
    "MakeEncoder",
    "MakeObjective",
    "columns_of",
    "describe_build",
    "pack",
    "rebuild",
]

# What has no part in building a net.
NOT_BUILT_FROM = ("callbacks", "checkpoint_dir", "device", "random_state")

# Of the numbers in one sample and in its features: far above any that fit, and soon refused.
LARGEST_SAMPLE = 2**28

META = torch.device("meta")

MakeEncoder = Callable[[Standardise, Rows], tuple[nn.Sequential, Features]]
MakeObjective = Callable[[Setting], AbstractObjective]


def describe_build(parameters: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """Write down what a net was built from, without which it cannot be built again.

    Parameters
    ----------
    parameters : mapping of str to object
        Of the transformer, which ``set_params`` may change later.
    setting : Setting

    Returns
    -------
    dict
    """
    return {
        "parameters": {k: v for k, v in parameters.items() if k not in NOT_BUILT_FROM},
        "sizes": {layer: tuple(getattr(setting.sizes, layer).shape[1:]) for layer in LAYERS},
        "looks": setting.looks,
        "n_samples": setting.n_samples,
    }


def columns_of(books: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return what is known of the last epoch as a list an epoch; nan where it was not known.

    Parameters
    ----------
    books : sequence of dict
        One an epoch, at least one.
    """
    names = [name for name, value in books[-1].items() if isinstance(value, float)]
    return {name: [epoch.get(name, math.nan) for epoch in books] for name in names}


def pack(net: EncoderNet, built: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a net in plain parts, where all it was built from is our own.

    Returns
    -------
    dict or None
        None if it was not, or if several processes train it.
    """
    if type(net) is not EncoderNet:
        return None
    try:
        encode(built["parameters"])
        return take_out(net)
    except NotPlainError:
        return None


def rebuild(
    estimator: Any,
    layout: Layout,
    built: Mapping[str, Any],
    kept: Mapping[str, Any],
    make_encoder: MakeEncoder,
    make_objective: MakeObjective,
    auto_view: Callable[[Layout], View],
) -> EncoderNet:
    """Build the net of a transformer again.

    Parameters
    ----------
    estimator : object
        With the parameters, and the classes, with which the net was built.
    layout : Layout
    built : mapping
        What ``describe_build`` gave.
    kept : mapping
        What ``pack`` gave. With an entry ``stranger``, names of the parameters that are the user's
        own, sizes are compared before anything is allocated.
    make_encoder, make_objective, auto_view : callable
        As ``build_net`` takes them.

    Returns
    -------
    EncoderNet
        On the device where it was; on the CPU if that is not here.

    Raises
    ------
    ValueError
        If the weights are not those of such a net.
    """
    weights = kept["weights"]
    if "stranger" in kept:
        compare_without_memory(
            estimator, layout, built, weights, make_encoder, make_objective, kept["stranger"]
        )
    device = find_device_here(kept["device"], estimator.device)
    sketch = Sketch(layout, device, {k: tuple(v) for k, v in built["sizes"].items()})
    with seeded(0, device):
        encoder, sizes = make_encoder(blank_standardise(layout), sketch)
        load_weights(encoder, weights["module"], "encoder")
        # What an objective finds out by asking the encoder, it finds out of the trained one.
        objective = make_objective(setting_of(encoder, sizes, layout, built)).to(device)
        load_weights(objective, weights["criterion"], "objective")
    optimizer = estimator.optimizer
    net = choose_net(estimator.device)(
        encoder,
        objective,
        view=find_view(estimator.view, layout, auto_view(layout)),
        optimizer=OPTIMIZERS.get(optimizer) if isinstance(optimizer, str) else optimizer,
        lr=float(estimator.learning_rate),
        batch_size=estimator.batch_size,
        device=str(device),
        callbacks=None,
        verbose=0,
    ).initialize()
    give_back(net, kept)
    return net


def find_device_here(name: str, wanted: Any) -> torch.device:
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
                stacklevel=2,
            )
        return torch.device("cpu")


def blank_standardise(layout: Layout) -> Standardise:
    """Return a standardisation whose statistics are not set yet."""
    zeros = np.broadcast_to(np.float64(0), layout.shape[:1])
    return Standardise(zeros.copy(), zeros + 1, n_axes=len(layout.shape) - 1)


def setting_of(
    encoder: nn.Sequential, sizes: Features, layout: Layout, built: Mapping[str, Any]
) -> Setting:
    """Return what an objective is built from."""
    return Setting(
        sizes,
        tuple((int(i), int(j)) for i, j in built["looks"]),
        standardise=encoder[0],
        encoder=encoder[1],
        shape=layout.shape,
        n_samples=built["n_samples"],
    )


def load_weights(module: nn.Module, arrays: Mapping[str, Any], what: str) -> None:
    """Set all weights and buffers; see ``check_sizes``."""
    check_sizes(module, arrays, what)
    module.load_state_dict({name: torch.tensor(values) for name, values in arrays.items()})


def check_sizes(module: nn.Module, arrays: Mapping[str, Any], what: str) -> None:
    """Raise an error for weights that are not those of a module.

    Raises
    ------
    ValueError
        Listing what is missing, what is there beside it, and what has another shape or type.
    """
    state = module.state_dict()
    unlike = [
        f"{name} is {said(arrays[name].shape, arrays[name].dtype)}, not "
        f"{said(state[name].shape, str(state[name].dtype).removeprefix('torch.'))}"
        for name in state
        if name in arrays
        and (
            tuple(arrays[name].shape) != tuple(state[name].shape)
            or str(arrays[name].dtype) != str(state[name].dtype).removeprefix("torch.")
        )
    ]
    listed = {
        "missing": [name for name in state if name not in arrays],
        "not known": [name for name in arrays if name not in state],
        "of another size": unlike,
    }
    faults = [
        f"{fault}: {', '.join(names[:5])}{f' and {len(names) - 5} more' * (len(names) > 5)}"
        for fault, names in listed.items()
        if names
    ]
    if faults:
        raise ValueError(f"The weights are not those of this {what}; {'; '.join(faults)}.")


def said(shape: tuple[int, ...], dtype: Any) -> str:
    """Describe a tensor."""
    return f"{dtype} of shape {tuple(shape)}"


def compare_without_memory(
    estimator: Any,
    layout: Layout,
    built: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, Any]],
    make_encoder: MakeEncoder,
    make_objective: MakeObjective,
    given: Sequence[str],
) -> None:
    """Build the net without memory for its numbers, and compare its sizes with the weights.

    An objective may ask the encoder for numbers, which cannot be had so; then the sizes are bounded
    by those of the weights before it is built with memory.

    Raises
    ------
    ValueError
        If they differ, or the parameters build no net.
    """
    numbers = [layout.n_features, *(math.prod(shape) for shape in built["sizes"].values())]
    if max(numbers) > LARGEST_SAMPLE:
        raise ValueError(f"A sample or its features have {max(numbers)} numbers: too many.")
    cpu = torch.device("cpu")
    try:
        with META, seeded(0, cpu):
            encoder, sizes = make_encoder(blank_standardise(layout), Sketch(layout, META))
    except Exception as error:
        if not given:
            raise ValueError(f"The parameters build no encoder: {error}") from error
        # A user's own encoder may need numbers to be built: it is compared when it has them.
        encoder = nn.Sequential(blank_standardise(layout), nn.Identity())
        known = Sketch(layout, META, built["sizes"]).features()
        assert known is not None
        sizes = known
    else:
        check_sizes(encoder, weights["module"], "encoder")
        measured = {layer: tuple(getattr(sizes, layer).shape[1:]) for layer in LAYERS}
        if measured != {layer: tuple(shape) for layer, shape in built["sizes"].items()}:
            raise ValueError(f"The features have the sizes {measured}, not {built['sizes']}.")
    try:
        with META, seeded(0, cpu):
            objective = make_objective(setting_of(encoder, sizes, layout, built))
    except Exception as error:
        # Some objectives ask the encoder for numbers; then what they are built from is bounded.
        weighed = sum(values.size for part in weights.values() for values in part.values())
        wide = getattr(estimator, "critic_units", 0)
        if "meta" not in str(error) or (isinstance(wide, int) and wide > weighed):
            raise ValueError(f"The parameters build no objective: {error}") from error
    else:
        check_sizes(objective, weights["criterion"], "objective")
