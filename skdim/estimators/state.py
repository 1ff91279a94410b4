"""What a net was built from, what a pickle holds, and how a net is built again from both."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skdim.encoders import LAYERS, Features, layer_of
from skdim.estimators.build import Spec
from skdim.estimators.rebuild import find_device_here, give_back, load_net, take_out
from skdim.inputs import Layout
from skdim.objectives import AbstractObjective
from skdim.parameters import is_same, shown
from skdim.saving import (
    NotPlainError,
    Transforming,
    check_finite,
    encode,
    export,
    to_bytes,
    versions,
    warn_of_versions,
    write_atomically,
)
from skdim.training import EncoderNet, choose_net
from skdim.views import Pairs

__all__ = [
    "ATTRIBUTES",
    "LEFT_OUT",
    "NOT_BUILT_FROM",
    "OPTIONAL",
    "PACKED",
    "PARTS",
    "Built",
    "PersistentMixin",
    "encode_parameters",
    "file_contents",
]

# What a state holds beside attributes.
VERSIONS, PACKED = "_versions", "_packed"

# What fitting keeps and nothing else in the file says; of OPTIONAL, what there is.
ATTRIBUTES = ("_entropy", "_layer", "_layout", "n_iter_")
OPTIONAL = (
    *("_conversion", "_given_shape", "_n_looks", "_reads_files"),
    *("classes_", "feature_names_in_", "solver_"),
)

# Where this machine keeps its checkpoints is no part of a model.
LEFT_OUT = ("checkpoint_dir",)

# Of the weights, by their first names in the file.
PARTS = ("module", "criterion")

# Parameters of a training, and not of what is trained.
READ_EACH_TIME = (
    *("max_epochs", "batch_size", "learning_rate", "schedule", "precision", "compile"),
    *("validation_fraction", "early_stopping", "n_iter_no_change", "tol"),
    *("warm_start", "verbose", "checkpoint_every"),
)

# Parameters without a part in building a net.
NOT_BUILT_FROM = ("callbacks", "checkpoint_dir", "device", "random_state")


@dataclass(frozen=True)
class Built:
    """What a net was built from: the one description for pickles, files and further training.

    Parameters
    ----------
    parameters : dict of str to object
        Of the estimator when it was fitted: ``set_params`` may have changed them since.
    pairs : tuple of (int, int)
        Which looks are compared.
    n_samples : int
        Samples that were trained on.
    sizes : dict of str to tuple of int
        Shapes of the features of a sample, layer by layer.
    """

    parameters: dict[str, Any]
    pairs: Pairs
    n_samples: int
    sizes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, estimator: BaseEstimator, spec: Spec, features: Features) -> Self:
        """Describe what the net of an estimator is built from."""
        parameters = {
            # ``set_params`` of the estimator changes objectives in place.
            name: value.copied() if isinstance(value, AbstractObjective) else value
            for name, value in estimator.get_params(deep=False).items()
            if name not in NOT_BUILT_FROM
        }
        sizes = {layer: tuple(getattr(features, layer).shape[1:]) for layer in LAYERS}
        return cls(parameters, spec.pairs, spec.n_samples, sizes)

    def features(self) -> Features:
        """Return features of two samples that have shapes, but take no memory."""
        return Features(*(torch.empty(2, *self.sizes[name], device="meta") for name in LAYERS))

    def n_features_out(self, layer: str) -> int:
        """Return the number of columns of a layer as ``transform`` returns it."""
        return layer_of(self.features(), layer)[0].numel()

    def check_unchanged(self, estimator: BaseEstimator) -> None:
        """Raise a ValueError if what was trained was built from other parameters."""
        changed = [
            f"{name}={shown(getattr(estimator, name))} (was {shown(before)})"
            for name, before in self.parameters.items()
            if name not in READ_EACH_TIME and not is_same(getattr(estimator, name), before)
        ]
        if changed:
            raise ValueError(
                f"{', '.join(changed)}: training cannot go on with what was built from other "
                "parameters. Set them back, or begin anew: fit with warm_start=False."
            )


class PersistentMixin(BaseEstimator):
    """Pickling without torch and skorch, ``save`` and ``to_onnx``."""

    if TYPE_CHECKING:  # What an estimator with an encoder has.
        net_: EncoderNet
        device: Any
        _built: Built
        _layer: str
        _layout: Layout

        def _check(self) -> None: ...

        def _spec(self, layout: Layout, n_samples: int) -> Spec: ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write this fitted transformer to one file, which :func:`skdim.load` reads.

        The file has the format safetensors: tensors, and a header in JSON with parameters,
        versions and a SHA-256 of the content. It holds no code, and reading it executes none.
        Weights of the objective are in it, since ``score`` needs them; samples and the state of the
        optimizer are not. It is written beside an older file of that name, which it replaces only
        when it is whole.

        Parameters
        ----------
        path : path
            By custom ``NAME.skdim``.

        Raises
        ------
        ValueError
            If there are weights of a type that cannot be saved, or this class is not one of skdim.
        OSError
            If the file cannot be written, or what exists is not a regular file: it is untouched.

        Notes
        -----
        Parameters that are modules or callables of your own are named in the file, and are given
        again on loading: ``skdim.load(path, encoder=my_encoder)``. ``checkpoint_dir`` is not saved.
        """
        write_atomically(path, to_bytes(*file_contents(self)))

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write what ``transform`` computes as a model of ONNX, for other runtimes.

        Its input ``samples`` is float32 of shape (n, C, H, W), (n, C, L) or (n, d), for any n, as
        ``read_samples`` gives them (uint8 made float32). Its output ``features`` is what
        ``transform`` gives, of shape (n, n_features_out).

        Needs the packages onnx and onnxscript: ``pip install "scikit-deepinfomax[onnx]"``.

        Parameters
        ----------
        path : path
            By custom ``NAME.onnx``.

        Raises
        ------
        ImportError
            If these packages are missing.
        ValueError
            If ONNX has no form for something in the encoder.
        OSError
            If the file cannot be written, or what exists is not a regular file: it is untouched.
        """
        check_is_fitted(self)
        export(Transforming(self.net_.module_, self._layer), self._layout.shape, path)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: attributes, versions, and the net in plain parts.

        A net that was built from a user's own module or callable is pickled as it is: that may hold
        more than weights, and may not be built twice alike.
        """
        state = dict(super().__getstate__())
        state[VERSIONS] = versions()
        # A subclass elsewhere may build its net by more than what is described here.
        if "net_" in state and type(self).__module__.startswith("skdim."):
            packed = pack(self.net_, self._built)
            if packed is not None:
                del state["net_"]
                state[PACKED] = packed
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what ``__getstate__`` returned, and build the net again."""
        state = dict(state)
        then, packed = state.pop(VERSIONS, None), state.pop(PACKED, None)
        if then is not None:
            warn_of_versions(type(self).__name__, then)
        super().__setstate__(state)
        if packed is None:
            return
        # ``set_params`` may have changed parameters since.
        fitted = type(self)(**self._built.parameters)
        if "stranger" in packed:
            fitted._check()  # noqa: SLF001 (of this class)
            self._check()
        for name in ("classes_", "_n_looks"):
            if hasattr(self, name):
                setattr(fitted, name, getattr(self, name))
        spec = fitted._spec(self._layout, self._built.n_samples)  # noqa: SLF001
        spec = replace(spec, pairs=self._built.pairs)
        device = find_device_here(packed["device"], self.device)
        own = packed.get("stranger", ())
        kind = choose_net(self.device)
        self.net_ = load_net(spec, self._built.features(), packed["weights"], device, kind, own)
        give_back(self.net_, packed)


def pack(net: EncoderNet, built: Built) -> dict[str, Any] | None:
    """Return a net in plain parts, where all it was built from is our own.

    Returns
    -------
    dict or None
        None if it was not, or if several processes train it.
    """
    if type(net) is not EncoderNet or encode_parameters(built.parameters)[1]:
        return None
    try:
        return take_out(net)
    except TypeError:
        return None


def file_contents(estimator: "PersistentMixin") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the header and the tensors of the file of a fitted transformer.

    Raises
    ------
    ValueError
        If it is of a class that ``load`` would not know, or has weights of a type that cannot be
        saved.
    """
    check_is_fitted(estimator)
    kind, state = type(estimator), vars(estimator)
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
        **encode_build(estimator.get_params(deep=False), state["_built"]),
        "attributes": {
            name: encode(state[name]) for name in (*ATTRIBUTES, *OPTIONAL) if name in state
        },
        "net": {
            "books": [encode_epoch(epoch) for epoch in packed["books"]],
            "settings": {name: encode(value) for name, value in packed["settings"].items()},
        },
    }
    check_finite(weights, "These weights cannot be saved")
    return header, weights


def encode_build(parameters: Mapping[str, Any], built: Built) -> dict[str, Any]:
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
