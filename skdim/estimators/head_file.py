"""The rules of a classifier's parameters, and the part of its file that its transformer's lacks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from skdim.estimators.state import encode_parameters
from skdim.estimators.transformer import EncoderTransformer
from skdim.estimators.validation import COMMON_RULES
from skdim.parameters import Rule, any_of, boolean, choice, integer, real
from skdim.saving import Stored, check_finite, decode, encode

__all__ = ["HEAD", "HEAD_RULES", "head_contents", "read_head"]

# What a fitted classifier has beside its transformer: in the header, and as tensors.
ATTRIBUTES = ("classes_", "C_", "self_training_", "validation_scores_", "n_iter_")
ARRAYS = ("coef_", "intercept_")
HEAD = "head."


HEAD_RULES: dict[str, Rule] = {
    "transformer": Rule(
        "an EncoderTransformer, a FrozenEstimator of one, or None",
        lambda value: value is None or isinstance(unfrozen(value), EncoderTransformer),
    ),
    "C": any_of(real(0, low_open=True), choice(["auto"])),
    "self_training": any_of(boolean(), choice(["auto"])),
    "fine_tune": boolean(),
    "max_epochs": integer(1),
    "layer_decay": real(0, low_open=True),
    "validation_fraction": real(0, 1, low_open=True),
    **{
        name: COMMON_RULES[name]
        for name in ("batch_size", "learning_rate", "n_iter_no_change", "random_state")
    },
}


def unfrozen(value: object) -> object:
    """Return what a FrozenEstimator holds, and everything else as it is."""
    return value.estimator if isinstance(value, FrozenEstimator) else value


def head_contents(classifier: BaseEstimator) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what the header holds of a fitted classifier, and its tensors."""
    parameters = classifier.get_params(deep=False)
    del parameters["transformer"]
    said = {
        "parameters": encode_parameters(parameters)[0],
        "attributes": {name: encode(getattr(classifier, name)) for name in ATTRIBUTES},
    }
    return said, {f"{HEAD}{name}": torch.from_numpy(getattr(classifier, name)) for name in ARRAYS}


def read_head(
    said: Any, tensors: Mapping[str, Stored], n_features: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return parameters and attributes of the classifier of a file.

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError
        If the file holds what no fit leaves.
    """
    parameters = {name: decode(value) for name, value in said["parameters"].items()}
    attributes = {name: decode(said["attributes"][name]) for name in ATTRIBUTES}
    if not is_sound(attributes):
        raise ValueError("Its head holds attributes that no fit leaves.")
    n_classes = len(attributes["classes_"])
    for name, shape in zip(ARRAYS, ((n_classes, n_features), (n_classes,)), strict=True):
        stored = tensors[f"{HEAD}{name}"]
        if stored.shape != shape or stored.dtype != torch.float32:
            raise ValueError(f"Its {name} has the shape {stored.shape}, and not {shape}.")
        values = stored.read()
        check_finite({name: values}, "It cannot be used")
        attributes[name] = values.numpy()
    return parameters, attributes


def is_sound(attributes: Mapping[str, Any]) -> bool:
    """Whether these attributes could be those of a fit."""
    classes, strength, self_training, scores, n_iter = (attributes[name] for name in ATTRIBUTES)
    return (
        isinstance(classes, np.ndarray)
        and classes.ndim == 1
        and len(classes) >= 2
        and isinstance(strength, float)
        and strength > 0
        and type(self_training) is bool
        and isinstance(scores, list)
        and all(isinstance(score, float) for score in scores)
        and type(n_iter) is int
        and 0 <= n_iter <= len(scores)
    )
