"""The state of a transformer, as a file."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from skdim.saving import NotPlainError, check_finite, encode, to_bytes, write_atomically
from skdim.training import take_out

__all__ = ["ATTRIBUTES", "LEFT_OUT", "OPTIONAL", "PARTS", "write_state"]

# What fitting keeps and nothing else in the file says; of OPTIONAL, what there is.
ATTRIBUTES = ("_entropy", "_layer", "_layout", "n_iter_")
OPTIONAL = ("classes_", "feature_names_in_", "solver_")

# Where this machine keeps its checkpoints is no part of a model.
LEFT_OUT = ("checkpoint_dir",)

# Of the weights, by their first names in the file.
PARTS = ("module", "criterion")


def write_state(
    path: str | os.PathLike[str],
    kind: type,
    state: Mapping[str, Any],
    parameters: Sequence[str],
) -> None:
    """Write the state of a fitted transformer to a file.

    Parameters
    ----------
    path : path
    kind : type
        Its class.
    state : mapping
        Its attributes.
    parameters : sequence of str
        Which of them are parameters.

    Raises
    ------
    ValueError
        If it is of a class that ``load`` would not know, or has weights of a type that cannot be
        saved.
    OSError
        If the file cannot be written.
    """
    if not kind.__module__.startswith("skdim."):
        raise ValueError(
            f"{kind.__name__} is a class of {kind.__module__}, which skdim.load could not build. "
            "Use pickle or joblib for it."
        )
    try:
        packed = take_out(state["net_"])
        weights = {
            f"{part}.{name}": torch.from_numpy(values)
            for part in PARTS
            for name, values in packed["weights"][part].items()
        }
    except TypeError as error:
        raise ValueError(
            f"The weights have a type that cannot be saved: {error}. Use pickle or joblib."
        ) from error
    header = {
        "class": kind.__name__,
        **encode_build({name: state[name] for name in parameters}, state["_built"]),
        "attributes": {
            name: encode(state[name]) for name in (*ATTRIBUTES, *OPTIONAL) if name in state
        },
        "net": {
            "books": [encode_epoch(epoch) for epoch in packed["books"]],
            "settings": {name: encode(value) for name, value in packed["settings"].items()},
        },
    }
    check_finite(weights, "These weights cannot be saved")
    write_atomically(path, to_bytes(header, weights))


def encode_build(parameters: Mapping[str, Any], built: Any) -> dict[str, Any]:
    """Encode the parameters, and how they differ from those the net was built from."""
    said, given = encode_parameters(parameters)
    built_said, built_given = encode_parameters(built.parameters)
    return {
        "parameters": said,
        "given": given,
        "built": {
            "parameters": {
                name: value
                for name, value in built_said.items()
                if name not in said or json.dumps(said[name]) != json.dumps(value)
            },
            "given": built_given,
            "sizes": {layer: list(shape) for layer, shape in built.sizes.items()},
            "pairs": [list(pair) for pair in built.pairs],
            "n_samples": built.n_samples,
        },
    }


def encode_parameters(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Encode parameters, and name those that cannot be encoded."""
    said, given = {}, []
    for name, value in parameters.items():
        if name in LEFT_OUT:
            continue
        try:
            said[name] = encode(value)
        except NotPlainError:
            given.append(name)
    return said, given


def encode_epoch(epoch: Mapping[str, Any]) -> dict[str, Any]:
    """Encode the numbers of an epoch; what else callbacks recorded is left out."""
    return {
        name: encode(value)
        for name, value in epoch.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
