"""Loading an estimator from a file, whoever wrote it: all is checked, nothing is executed."""

import inspect
import os
from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import Any

import numpy as np

from skdim.encoders import LAYERS
from skdim.estimators.build import NOT_BUILT_FROM, Built
from skdim.estimators.classifier import TUNED, DeepInfoMaxClassifier
from skdim.estimators.deep_infomax import DeepInfoMaxTransformer
from skdim.estimators.fitting import ATTRIBUTES
from skdim.estimators.heads import HEAD, HEAD_RULES, read_head
from skdim.estimators.state import LEFT_OUT, PACKED, PARTS
from skdim.estimators.transformer import EncoderTransformer
from skdim.estimators.validation import COMMON_RULES
from skdim.inputs import Layout
from skdim.parameters import LONGEST_ERROR, check_parameters, cut, shown
from skdim.saving import Stored, check_finite, decode, open_container, update_header
from skdim.training import SETTINGS

__all__ = ["TRANSFORMERS", "load"]

# All classes that a file can name.
TRANSFORMERS: dict[str, type[EncoderTransformer]] = {
    kind.__name__: kind for kind in (DeepInfoMaxTransformer, EncoderTransformer)
}

Tensors = Mapping[str, Stored]


def load(path: str | os.PathLike[str], **given: Any) -> EncoderTransformer | DeepInfoMaxClassifier:
    """Read a fitted transformer or classifier that its ``save`` wrote.

    Nothing in the file is executed, whoever made it, and no more memory is taken than a sample, its
    features and a few times the length of the file need. Names and sizes of its tensors are
    compared with its header before they are read.

    Parameters
    ----------
    path : path
    **given : Any
        The parameters that were modules or callables of your own when it was saved, such as
        ``encoder=my_encoder``: built as they were then. And ``device``, to load to another one.

    Returns
    -------
    EncoderTransformer or DeepInfoMaxClassifier
        With the same features and the same score, bit for bit on the same machine. Of a
        ``warm_start``, ``fit`` goes on from the weights; the state of the optimizer is not in the
        file, and begins anew.

    Raises
    ------
    ValueError
        If the file is damaged, of another program, of a newer format, or holds what no transformer
        has; or if parameters must be given that are not. The text says which.
    OSError
        If there is no such file, it is not a regular file, or it cannot be read.

    Warns
    -----
    UserWarning
        If ``device`` names an accelerator that is not here: the transformer is then on the CPU.

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
            said = header.get(HEAD)
            parts = sort_tensors(tensors, PARTS if said is None else (*PARTS, HEAD))
            updated = update_header(header)
            check_header(updated)
            transformer = TRANSFORMERS[updated["class"]]()
            transformer.__setstate__(make_state(type(transformer), updated, parts, given))
            classifier = None if said is None else classifier_of(transformer, said, parts[HEAD])
        except (
            *(AttributeError, KeyError, MemoryError, OverflowError),
            *(RuntimeError, TypeError, ValueError),
        ) as error:
            # What a forged header can cause, also in torch and NumPy.
            text = cut(str(error), LONGEST_ERROR)
            raise ValueError(f"{os.fspath(path)!r} cannot be loaded. {text}") from error
        check()
    net = transformer.net_
    check_finite(
        {f"{part}.{name}": v for part in PARTS for name, v in net.state()[part].items()},
        f"{path} cannot be used",
    )
    return classifier or transformer


def classifier_of(
    transformer: EncoderTransformer, said: Any, tensors: Tensors
) -> DeepInfoMaxClassifier:
    """Build the classifier of a file from its transformer."""
    n_features = len(transformer.get_feature_names_out())
    parameters, attributes = read_head(said, tensors, n_features)
    classifier = DeepInfoMaxClassifier.from_transformer(transformer, **parameters)
    check_parameters(classifier, HEAD_RULES)
    for name, value in {**attributes, "transformer_": transformer}.items():
        setattr(classifier, name, value)
    return classifier


def make_state(
    kind: type[EncoderTransformer],
    header: Mapping[str, Any],
    parts: Mapping[str, Tensors],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Put together what ``__getstate__`` would have given."""
    built = header["built"]
    given = check_given(given, {*header["given"], *built["given"]})
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()
    }
    parameters = defaults | read_parameters(header["parameters"], defaults)
    parameters |= {name: given[name] for name in (*header["given"], "device") if name in given}
    built_from = {k: v for k, v in parameters.items() if k not in NOT_BUILT_FROM}
    built_from |= read_parameters(built["parameters"], built_from)
    built_from |= {name: given[name] for name in built["given"]}
    attributes = {name: decode(said) for name, said in header["attributes"].items()}
    history = [{k: decode(v) for k, v in epoch.items()} for epoch in header["net"]["history"]]
    check_attributes(attributes, history)
    settings = {name: decode(said) for name, said in header["net"]["settings"].items()}
    # By these the net is scored.
    for name, value in settings.items():
        rule = COMMON_RULES[SETTINGS[name]]
        if not rule.holds(value):
            raise ValueError(f"Its net has {name}={shown(value)}, which is not {rule.text}.")
    described = Built(
        built_from,
        tuple((int(i), int(j)) for i, j in built["pairs"]),
        built["n_samples"],
        {layer: tuple(shape) for layer, shape in built["sizes"].items()},
    )
    return {
        **parameters,
        **attributes,
        "n_features_in_": attributes["_layout"].n_features,
        "_built": described,
        PACKED: {
            "weights": parts,
            "history": history,
            "settings": settings,
            "device": parameters["device"],
            "optimizer": None,
            "given": built["given"],
        },
    }


def check_given(given: Mapping[str, Any], needed: set[str]) -> Mapping[str, Any]:
    """Return what the file could not hold; raise a ValueError if it is not what is given."""
    missing = sorted(needed - given.keys())
    if missing:
        call = ", ".join(f"{name}=..." for name in missing)
        raise ValueError(
            f"It does not contain your own {' and '.join(missing)}. Pass what was given when the "
            f"transformer was fitted: skdim.load(path, {call})."
        )
    strange = sorted(given.keys() - needed - {"device"})
    if strange:
        raise ValueError(
            f"Its {' and '.join(strange)} is stored in the file and cannot be passed. Load it, "
            "then use set_params."
        )
    return given


def read_parameters(said: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Read parameters; raise a ValueError for those that the class has not."""
    strange = sorted(name for name in said if name not in known or name in LEFT_OUT)
    if strange:
        raise ValueError(f"It holds parameters that are not known here: {shown(strange)}.")
    return {name: decode(value) for name, value in said.items()}


def sort_tensors(tensors: Tensors, parts: Collection[str]) -> dict[str, dict[str, Stored]]:
    """Return the tensors of each part, without it in their names; raise a ValueError for others."""
    found: dict[str, dict[str, Stored]] = {part: {} for part in parts}
    strange = [name for name in tensors if name.partition(".")[0] not in found]
    if strange:
        raise ValueError(f"It holds tensors that are no weights: {cut(', '.join(strange[:5]))}.")
    for name, stored in tensors.items():
        part, _, rest = name.partition(".")
        found[part][rest] = stored
    return found


def is_count(value: object, least: int = 0) -> bool:
    """Whether a value is a whole number that 64 bits hold."""
    return type(value) is int and least <= value < 2**63


def is_dict(value: object, *names: str) -> bool:
    """Whether a value is a dict, with these names only and all of them, if there are any."""
    return isinstance(value, dict) and (not names or value.keys() == set(names))


def is_list(value: object, kind: type, least: int = 0) -> bool:
    """Whether a value is a list of some length, whose entries are of a type."""
    return isinstance(value, list) and len(value) >= least and all(type(v) is kind for v in value)


def is_shape(
    value: Any, kind: type[list[Any]] | type[tuple[Any, ...]] = list, most: int = 4
) -> bool:
    """Whether a value is the shape of a sample or of its features."""
    return (
        isinstance(value, kind) and 1 <= len(value) <= most and all(is_count(n, 1) for n in value)
    )


def is_layout(value: object) -> bool:
    """Whether a value is the layout of vectors, signals or images."""
    return (
        isinstance(value, Layout)
        and is_shape(value.shape, tuple, most=3)
        and type(value.channels_last) is bool
    )


def is_conversion(value: object, layout: Layout) -> bool:
    """Whether a value holds a centre and a scale of each channel of a layout."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.float64
        and value.shape == (2, layout.shape[0])
        and bool(np.isfinite(value).all() and (value[1] > 0).all())
    )


# What a fit can have done.
SOLVERS = ("closed form", "gradients", "closed form then gradients")

# What each place of the header holds.
SCHEMA: dict[str, Callable[[Any], bool]] = {
    "class": lambda v: isinstance(v, str) and v in TRANSFORMERS,
    "versions": is_dict,
    "parameters": is_dict,
    "given": lambda v: is_list(v, str),
    "attributes": lambda v: isinstance(v, dict) and {*ATTRIBUTES} <= v.keys() <= SOUND.keys(),
    "built": lambda v: is_dict(v, "parameters", "given", "pairs", "sizes", "n_samples"),
    "built.parameters": is_dict,
    "built.given": lambda v: is_list(v, str),
    "built.sizes": lambda v: is_dict(v, *LAYERS) and all(map(is_shape, v.values())),
    "built.pairs": lambda v: (
        is_list(v, list, 1) and all(len(pair) == 2 and all(map(is_count, pair)) for pair in v)
    ),
    "built.n_samples": is_count,
    "net": lambda v: is_dict(v, "history", "settings"),
    "net.history": lambda v: is_list(v, dict, 1),
    "net.settings": lambda v: is_dict(v, *SETTINGS),
}


def check_header(header: Mapping[str, Any]) -> None:
    """Raise a ValueError that names the first place of a header that ``save`` never writes."""
    for place, check in SCHEMA.items():
        value: Any = header
        for name in place.split("."):
            value = value.get(name)
        if not check(value):
            raise ValueError(f"Its header has {shown(value)} as {place!r}, which cannot be.")


# What a fit leaves: each attribute, by the layout of the samples.
SOUND: dict[str, Callable[[Any, Layout], bool]] = {
    "_entropy": lambda v, layout: is_count(v),
    "_layer": lambda v, layout: v in LAYERS,
    "_layout": lambda v, layout: is_layout(v),
    "n_iter_": lambda v, layout: is_count(v, 1),
    "_conversion": is_conversion,
    "_given_shape": lambda v, layout: is_shape(v, tuple, 3) and prod(v) == layout.n_features,
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
    # The layout first, by which others are checked.
    for name in ("_layout", *attributes):
        if not SOUND[name](attributes[name], layout):
            raise ValueError(f"Its header has an invalid {name}.")
    numbers = all(isinstance(v, int | float) for epoch in history for v in epoch.values())
    last = all(isinstance(history[-1].get(name), float) for name in ("loss", "spread"))
    if not (numbers and last and attributes["n_iter_"] <= len(history)):
        raise ValueError("Its header has an invalid history.")
