"""Load an estimator from a file that may be damaged or malicious; execute nothing."""

import copy
import json
import os
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from math import prod
from typing import Any

import numpy as np
import torch

from skdim.encoders import LAYERS
from skdim.estimators.build import NOT_BUILT_FROM, Built
from skdim.estimators.classifier import TUNED, DeepInfoMaxClassifier
from skdim.estimators.deep_infomax import DeepInfoMaxTransformer
from skdim.estimators.fitting import ATTRIBUTES
from skdim.estimators.heads import ARRAYS, FITTED, HEAD, HEAD_RULES
from skdim.estimators.state import LEFT_OUT, PACKED, PARTS, named_weights
from skdim.estimators.transformer import EncoderTransformer
from skdim.estimators.validation import COMMON_RULES
from skdim.inputs import Layout
from skdim.parameters import (
    MAX_ERROR_LENGTH,
    check_parameters,
    cut,
    is_integer,
    shown,
    tuple_of_integers,
)
from skdim.saving import Stored, check_finite, decode, open_container
from skdim.training import SETTINGS

# All transformers that a file can name.
TRANSFORMERS: dict[str, type[EncoderTransformer]] = {
    kind.__name__: kind for kind in (DeepInfoMaxTransformer, EncoderTransformer)
}

Tensors = Mapping[str, Stored]

# Values of ``solver_``, without the suffix of fine-tuning.
SOLVERS = ("closed form", "gradients", "closed form then gradients")

# In format 1, "patches" and PatchEncoder are the network that now has its own name.
PATCHES, NETWORK = '{"callable": "PatchEncoder"}', '{"callable": "PatchNetworkEncoder"}'

# Each objective had its own transformer, whose parameters included those of the objective.
FORMER_CLASSES = {
    "AAETransformer": ("AAE", {"prior", "prior_weight"}),
    "AutoencoderTransformer": ("Autoencoder", set()),
    "BiGANTransformer": ("BiGAN", {"prior", "gradient_penalty"}),
    "CPCTransformer": ("CPC", {"n_predicted", "critic_units"}),
    "NATTransformer": ("NAT", set()),
    "VAETransformer": ("VAE", {"beta"}),
}

# Shape of samples.
SHAPE = tuple_of_integers()

# Errors that an invalid header can cause, also in torch and NumPy.
INVALID = (
    *(AttributeError, LookupError, MemoryError, OverflowError),
    *(RuntimeError, TypeError, ValueError),
)


def load(path: str | os.PathLike[str], **given: Any) -> EncoderTransformer | DeepInfoMaxClassifier:
    """Read a fitted transformer or classifier that its ``save`` wrote.

    Nothing in the file is executed, whoever made it, and no more memory is taken than a sample, its
    features and a few times the length of the file need. Names and sizes of its tensors are
    compared with its header before they are read.

    Parameters
    ----------
    path : path
    **given : Any
        Parameters that were modules or callables of your own, such as ``encoder=my_encoder``, as
        they were when the transformer was fitted; and ``device``, to load to another device.

    Returns
    -------
    EncoderTransformer or DeepInfoMaxClassifier
        With the same features and the same score, bit for bit on the same machine. With
        ``warm_start``, ``fit`` continues from the weights, but with a new optimizer.

    Raises
    ------
    ValueError
        If the file is damaged, of another program or of a newer format, if its content is not
        valid, or if parameters must be passed that are not.
    OSError
        If there is no such file, it is not a regular file, or it cannot be read.

    Warns
    -----
    UserWarning
        If ``device`` is not available: the transformer is then on the CPU.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import skdim
    >>> X = np.random.default_rng(0).normal(size=(40, 6))
    >>> dim = skdim.DeepInfoMaxTransformer(4, max_epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.skdim"
    ...     dim.save(path)
    ...     loaded = skdim.load(path)
    >>> np.array_equal(loaded.transform(X), dim.transform(X))
    True
    """
    with open_container(path) as (header, tensors, check):
        try:
            head = header.get(HEAD)
            parts = sort_tensors(tensors, PARTS if head is None else (*PARTS, HEAD))
            updated = update_header(header)
            if updated["class"] not in TRANSFORMERS:
                raise ValueError(f"Its class is {shown(updated['class'])}, which is unknown.")
            transformer = TRANSFORMERS[updated["class"]]()
            defaults = transformer.get_params(deep=False)
            transformer.__setstate__(make_state(defaults, updated, parts, given))
            classifier = None if head is None else make_classifier(transformer, head, parts[HEAD])
        except INVALID as error:
            text = str(error) if isinstance(error, ValueError) else f"It is not valid: {error!r}."
            text = cut(text, MAX_ERROR_LENGTH)
            raise ValueError(f"{os.fspath(path)!r} cannot be loaded. {text}") from error
        check()
    check_finite(named_weights(transformer.net_), f"{path} cannot be used")
    return classifier or transformer


def make_classifier(
    transformer: EncoderTransformer, head: Any, tensors: Tensors
) -> DeepInfoMaxClassifier:
    """Build the classifier of a file from its transformer.

    AttributeError, KeyError, TypeError or ValueError are raised if the head is not valid.
    """
    parameters = {name: decode(value) for name, value in head["parameters"].items()}
    attributes = {name: decode(head["attributes"][name]) for name in FITTED}
    if not is_valid_head(attributes):
        raise ValueError("Its head has invalid attributes.")
    n_classes, n_features = len(attributes["classes_"]), len(transformer.get_feature_names_out())
    for name, shape in zip(ARRAYS, ((n_classes, n_features), (n_classes,)), strict=True):
        stored = tensors[name]
        if stored.shape != shape or stored.dtype != torch.float32:
            raise ValueError(
                f"Its {name} is {stored.dtype} of {stored.shape}, not float32 of {shape}."
            )
        values = stored.read()
        check_finite({name: values}, "It cannot be used")
        attributes[name] = values.numpy()
    classifier = DeepInfoMaxClassifier.from_transformer(transformer, **parameters)
    check_parameters(classifier, HEAD_RULES)
    for name, value in {**attributes, "transformer_": transformer}.items():
        setattr(classifier, name, value)
    return classifier


def is_valid_head(attributes: Mapping[str, Any]) -> bool:
    """Whether these attributes could be those of a fit."""
    classes, strength, self_training, scores, n_iter = (attributes[name] for name in FITTED)
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


def make_state(
    defaults: Mapping[str, Any],
    header: Mapping[str, Any],
    parts: Mapping[str, Tensors],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Build the state for ``__setstate__`` from a header and the default parameters."""
    built = header["built"]
    check_given(given, {*header["given"], *built["given"]})
    parameters = {**defaults, **read_parameters(header["parameters"], defaults)}
    parameters |= {name: given[name] for name in (*header["given"], "device") if name in given}
    built_from = {k: v for k, v in parameters.items() if k not in NOT_BUILT_FROM}
    built_from |= read_parameters(built["parameters"], built_from)
    built_from |= {name: given[name] for name in built["given"]}
    attributes = {name: decode(value) for name, value in header["attributes"].items()}
    history = [{k: decode(v) for k, v in epoch.items()} for epoch in header["net"]["history"]]
    check_attributes(attributes, history)
    settings = {name: decode(value) for name, value in header["net"]["settings"].items()}
    # The net is scored with these.
    for name, value in settings.items():
        rule = COMMON_RULES[SETTINGS[name]]
        if not rule.holds(value):
            raise ValueError(f"Its net has {name}={shown(value)}, which is not {rule.text}.")
    pairs = tuple((i, j) for i, j in built["pairs"])
    sizes = {layer: tuple(built["sizes"][layer]) for layer in LAYERS}
    if not pairs or not all(map(is_count, [built["n_samples"], *chain(*pairs)])):
        raise ValueError("Its number of samples or its pairs of looks are not valid.")
    if not all(map(SHAPE.holds, sizes.values())):
        raise ValueError(f"Its layers have the sizes {shown(sizes)}, which are not valid.")
    return {
        **parameters,
        **attributes,
        "n_features_in_": attributes["_layout"].n_features,
        "_built": Built(built_from, pairs, built["n_samples"], sizes),
        PACKED: {
            "weights": parts,
            "history": history,
            "settings": settings,
            "device": parameters["device"],
            "optimizer": None,
            "given": built["given"],
        },
    }


def check_given(given: Collection[str], needed: set[str]) -> None:
    """Raise a ValueError if other parameters are given than a file does not contain."""
    missing = sorted(needed - {*given})
    if missing:
        call = ", ".join(f"{name}=..." for name in missing)
        raise ValueError(
            f"It does not contain your own {' and '.join(missing)}. Pass what was given when the "
            f"transformer was fitted: skdim.load(path, {call})."
        )
    stored = sorted({*given} - needed - {"device"})
    if stored:
        raise ValueError(
            f"Its {' and '.join(stored)} is stored in the file and cannot be passed. Load it, "
            "then use set_params."
        )


def update_header(header: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a header of format 1, or of the present one, in the present format.

    AttributeError, KeyError or TypeError are raised if a header of format 1 is not valid.
    """
    if header["format"] > 1:
        return header
    updated = copy.deepcopy(dict(header))
    built, net = updated["built"], updated["net"]
    updated["attributes"] = {"solver_": "gradients", **updated["attributes"]}
    net["history"] = net.pop("books")
    built["pairs"] = built.pop("looks")
    former = FORMER_CLASSES.get(header["class"])
    # ``built`` first, which has only the parameters that differ from the others.
    for owner in (built, updated):
        if former is not None:
            use_objective(owner, updated["parameters"], *former)
        if "encoder" in owner["parameters"]:
            owner["parameters"]["encoder"] = rename_encoder(owner["parameters"]["encoder"])
    if former is not None:
        updated["class"] = "EncoderTransformer"
    return updated


def use_objective(
    owner: dict[str, Any], parameters: Mapping[str, Any], name: str, own: set[str]
) -> None:
    """Replace the parameters of an objective, or their names in "given", by the objective."""
    parameters = {**parameters, **owner["parameters"]}
    owner["parameters"] = {k: v for k, v in owner["parameters"].items() if k not in own}
    if own & set(owner["given"]):
        owner["given"] = [*(set(owner["given"]) - own), "objective"]
    else:
        values = {key: parameters[key] for key in own if key in parameters}
        objective = {"class": name, "parameters": values}
        owner["parameters"]["objective"] = {"objective": objective}


def rename_encoder(encoder: object) -> Any:
    """Return an encoder with its present name, also within partial calls."""
    if encoder == "patches":
        return "patch_network"
    return json.loads(json.dumps(encoder).replace(PATCHES, NETWORK))


def read_parameters(encoded: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Decode parameters; raise a ValueError for those that the class does not have."""
    unknown = sorted(name for name in encoded if name not in known or name in LEFT_OUT)
    if unknown:
        raise ValueError(f"It holds parameters that are not known here: {shown(unknown)}.")
    return {name: decode(value) for name, value in encoded.items()}


def sort_tensors(tensors: Tensors, parts: Collection[str]) -> dict[str, dict[str, Stored]]:
    """Return the tensors of each part, without its prefix; raise a ValueError for others."""
    found: dict[str, dict[str, Stored]] = {part: {} for part in parts}
    for name, stored in tensors.items():
        part, _, rest = name.partition(".")
        if part not in found:
            raise ValueError(f"It holds a tensor {shown(name)}, which is not a weight.")
        found[part][rest] = stored
    return found


def is_count(value: object, least: int = 0) -> bool:
    """Whether a value is an integer that 64 bits hold."""
    return is_integer(value, least, 2**63 - 1)


def is_conversion(value: object, layout: Layout) -> bool:
    """Whether a value holds a centre and a scale for each channel of a layout."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.float64
        and value.shape == (2, layout.shape[0])
        and bool(np.isfinite(value).all() and (value[1] > 0).all())
    )


# Conditions on the attributes of a fitted transformer, given the layout of its samples.
CONDITIONS: dict[str, Callable[[Any, Layout], bool]] = {
    "_entropy": lambda v, layout: is_count(v),
    "_layer": lambda v, layout: v in LAYERS,
    "_layout": lambda v, layout: (
        isinstance(v, Layout)
        and SHAPE.holds(v.shape)
        and len(v.shape) <= 3
        and isinstance(v.channels_last, bool)
    ),
    "n_iter_": lambda v, layout: is_count(v, 1),
    "_conversion": is_conversion,
    "_given_shape": lambda v, layout: SHAPE.holds(v) and prod(v) == layout.n_features,
    "_n_looks": lambda v, layout: is_count(v, 2),
    "_reads_files": lambda v, layout: v is True,
    "classes_": lambda v, layout: isinstance(v, np.ndarray) and v.ndim == 1,
    "feature_names_in_": lambda v, layout: (
        isinstance(v, np.ndarray) and v.dtype == object and v.shape == (layout.n_features,)
    ),
    "solver_": lambda v, layout: str(v).removesuffix(TUNED) in SOLVERS,
}


def check_attributes(attributes: Mapping[str, Any], history: list[dict[str, Any]]) -> None:
    """Raise a ValueError that names the first invalid attribute, or the history."""
    layout = attributes["_layout"]
    # The layout first, since the other conditions depend on it.
    for name in ("_layout", *ATTRIBUTES, *attributes):
        if name not in CONDITIONS or not CONDITIONS[name](attributes[name], layout):
            raise ValueError(f"Its header has an invalid attribute {shown(name)}.")
    numbers = all(isinstance(v, int | float) for epoch in history for v in epoch.values())
    last = all(isinstance(history[-1].get(name), float) for name in ("loss", "spread"))
    if not (numbers and last and attributes["n_iter_"] <= len(history)):
        raise ValueError("Its header has an invalid history.")
