"""What pickles and files hold of a transformer, and how its net is built again from them."""

import json
import os
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skdim.encoders import LAYERS, Features
from skdim.estimators.base import AbstractLearner
from skdim.estimators.build import (
    Built,
    Spec,
    assemble,
    build_criterion,
    build_encoder,
    find_device_here,
    wrap_encoder,
)
from skdim.estimators.fitting import ATTRIBUTES, OPTIONAL
from skdim.parameters import cut, is_number
from skdim.random import seeded
from skdim.saving import (
    NotPlainError,
    Stored,
    Transforming,
    check_finite,
    encode,
    export,
    mapped,
    to_bytes,
    versions,
    warn_of_versions,
    write_atomically,
)
from skdim.training import SETTINGS, EncoderNet, choose_net

__all__ = ["LEFT_OUT", "PACKED", "PARTS", "PersistentLearner", "encode_parameters", "file_contents"]

# What a state holds beside attributes.
VERSIONS, PACKED = "_versions", "_packed"

# Where this machine keeps its checkpoints is no part of a model.
LEFT_OUT = ("checkpoint_dir",)

# Of the weights, by their first names in the file.
PARTS = ("module", "criterion")

# Most numbers in one sample or in one layer of its features: far above any that fit.
LARGEST_SAMPLE = 2**28

# Of a module by their names: in memory, or in a file.
Arrays = Mapping[str, NDArray[Any] | Stored]


class PersistentLearner(AbstractLearner):
    """A learner that is pickled without torch and skorch, with ``save`` and ``to_onnx``."""

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
        ours = type(self).__module__.startswith("skdim.") and type(state.get("net_")) is EncoderNet
        if ours and not encode_parameters(self._built.parameters)[1]:
            with suppress(TypeError):  # Of weights that NumPy does not have.
                state[PACKED] = take_out(self.net_)
                del state["net_"]
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
        if "given" in packed:
            fitted._check()  # noqa: SLF001 (of this class)
            self._check()
        for name in ("classes_", "_n_looks"):
            if hasattr(self, name):
                setattr(fitted, name, getattr(self, name))
        spec = fitted._spec(self._layout, self._built.n_samples)  # noqa: SLF001
        spec = replace(spec, pairs=self._built.pairs)
        self.net_ = load_net(spec, self._built.features(), packed, self.device)


def file_contents(estimator: PersistentLearner) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return header and tensors of a file; raise a ValueError for what ``load`` cannot build."""
    check_is_fitted(estimator)
    kind, state = type(estimator), vars(estimator)
    built: Built = state["_built"]
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
    said, given = encode_parameters(estimator.get_params(deep=False))
    built_said, built_given = encode_parameters(built.parameters)
    header = {
        "class": kind.__name__,
        "parameters": said,
        "given": given,
        "built": {
            # What ``set_params`` has changed since.
            "parameters": {
                k: v
                for k, v in built_said.items()
                if k not in said or json.dumps(said[k]) != json.dumps(v)
            },
            "given": built_given,
            "sizes": built.sizes,
            "pairs": built.pairs,
            "n_samples": built.n_samples,
        },
        "attributes": {k: encode(state[k]) for k in (*ATTRIBUTES, *OPTIONAL) if k in state},
        "net": {
            # What else callbacks recorded is left out.
            "history": [
                {k: encode(v) for k, v in epoch.items() if is_number(v, int, float)}
                for epoch in packed["history"]
            ],
            "settings": {k: encode(v) for k, v in packed["settings"].items()},
        },
    }
    check_finite(weights, "These weights cannot be saved")
    return header, weights


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


def take_out(net: EncoderNet) -> dict[str, Any]:
    """Return a net in arrays, for ``load_net``; raise a TypeError for types that NumPy lacks."""
    optimizer = net.optimizer_
    return {
        "weights": as_arrays(net.state()),
        "history": [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history],
        "settings": {name: getattr(net, name) for name in SETTINGS},
        "device": str(net.device),
        "optimizer": None if optimizer is None else as_arrays(optimizer.state_dict()),
    }


def as_arrays(tree: dict[str, Any]) -> Any:
    """Return a nested value with arrays on the CPU in place of tensors."""
    return mapped(tree, lambda v, _: v.detach().cpu().numpy() if isinstance(v, Tensor) else v)


def load_net(
    spec: Spec, sizes: Features, kept: Mapping[str, Any], wanted: str | torch.device
) -> EncoderNet:
    """Build a net without memory for its numbers, and restore it from a result of ``take_out``.

    Parameters that are given again on loading ("given") are built with memory. A ValueError is
    raised if the parameters build no net, or the weights are not those of such a net.
    """
    largest = max(spec.layout.n_features, *(getattr(sizes, layer)[0].numel() for layer in LAYERS))
    if largest > LARGEST_SAMPLE:
        raise ValueError(f"A sample or its features have {largest} numbers: too many.")
    own, weights, meta = kept.get("given", ()), kept["weights"], torch.device("meta")
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
    device = find_device_here(kept["device"], wanted)
    net = assemble(spec, module, criterion, device, choose_net(wanted))
    for name in SETTINGS:
        setattr(net, name, kept["settings"][name])
    # skorch expects a list of batches in each epoch.
    net.history.extend({"batches": [{}], **epoch} for epoch in kept["history"])
    if kept["optimizer"] is not None:
        net.make_optimizer()
        net.optimizer_.load_state_dict(
            mapped(
                kept["optimizer"], lambda v, _: torch.tensor(v) if isinstance(v, np.ndarray) else v
            )
        )
    net.module_.eval()
    net.criterion_.eval()
    return net


def load_weights(module: nn.Module, arrays: Arrays, what: str) -> None:
    """Set all weights and buffers of a module that may have no memory.

    A ValueError lists what is missing, not known, or of another shape or type, before it is read.
    """

    def described(values: NDArray[Any] | Stored | Tensor) -> str:
        return f"{str(values.dtype).removeprefix('torch.')} of shape {tuple(values.shape)}"

    state = module.state_dict()
    listed = {
        "missing": [name for name in state if name not in arrays],
        "not known": [name for name in arrays if name not in state],
        "of another size": [
            f"{name} is {described(arrays[name])}, not {described(values)}"
            for name, values in state.items()
            if name in arrays and described(arrays[name]) != described(values)
        ],
    }
    faults = [
        f"{fault}: {cut(', '.join(names[:5]))}{f' and {len(names) - 5} more' * (len(names) > 5)}"
        for fault, names in listed.items()
        if names
    ]
    if faults:
        raise ValueError(f"The weights are not those of this {what}; {'; '.join(faults)}.")
    tensors = {
        name: values.read() if isinstance(values, Stored) else torch.tensor(values)
        for name, values in arrays.items()
    }
    module.load_state_dict(tensors, assign=True)
