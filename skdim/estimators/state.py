"""The state of a transformer in pickles and files, and building its net again from it."""

import json
import os
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skdim.devices import find_device_here
from skdim.encoders import LAYERS, Features
from skdim.estimators.base import AbstractLearner
from skdim.estimators.build import (
    Built,
    Spec,
    assemble,
    build_criterion,
    build_encoder,
    wrap_encoder,
)
from skdim.estimators.fitting import ATTRIBUTES, OPTIONAL
from skdim.parameters import MAX_ERROR_LENGTH, cut, is_number
from skdim.random import seeded
from skdim.saving import (
    EncodeError,
    LayerOutput,
    Stored,
    check_finite,
    encode,
    export,
    mapped,
    to_bytes,
    versions,
    warn_of_versions,
    write_atomically,
)
from skdim.training import SETTINGS, EncoderNet

# Entries of a pickled state in addition to attributes.
VERSIONS, PACKED = "_versions", "_packed"
CONSEQUENCE = (
    "Its codes may differ, or it may fail. Fit it again, or use its save() and skdim.load(), whose "
    "files are read by later versions."
)

# Parameters that belong to a machine.
LEFT_OUT = ("checkpoint_dir",)

# Modules with weights, as prefixes of the names in a file.
PARTS = ("module", "criterion")

# Most numbers in one sample or in one layer of its features: far above any that fit.
MAX_SAMPLE_SIZE = 2**28


class PersistentLearner(AbstractLearner):
    """Learner that is pickled without torch and skorch, with ``save`` and ``to_onnx``."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write this fitted transformer to one file, which :func:`skdim.load` reads.

        The file has the format safetensors: tensors, and a header in JSON with parameters,
        versions and a SHA-256 of the content. It holds no code, and reading it executes none.
        It includes the weights of the objective, since ``score`` needs them, but neither samples
        nor the state of the optimizer. An existing file is replaced only when the new one is
        complete.

        Parameters
        ----------
        path : path
            Conventionally ``NAME.skdim``.

        Raises
        ------
        ValueError
            If there are weights of a dtype that cannot be saved, or this class is not one of skdim.
        OSError
            If the file cannot be written, or a path that is not a regular file exists: it is not
            changed.

        Notes
        -----
        Parameters that are modules or callables of your own are only named in the file, and must be
        passed to ``skdim.load(path, encoder=my_encoder)``. ``checkpoint_dir`` is not saved.
        """
        write_atomically(path, to_bytes(*file_contents(self)))

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write what ``transform`` computes as a model of ONNX, for other runtimes.

        Its input ``samples`` is float32 of shape (n, C, H, W), (n, C, L) or (n, d), for any n, as
        ``read_samples`` returns them (uint8 converted to float32). Its output ``features`` is what
        ``transform`` returns, of shape (n, n_features_out).

        Needs the packages onnx and onnxscript: ``pip install "scikit-deepinfomax[onnx]"``.

        Parameters
        ----------
        path : path
            Conventionally ``NAME.onnx``.

        Raises
        ------
        ImportError
            If these packages are missing.
        ValueError
            If ONNX does not support an operation of the encoder.
        OSError
            If the file cannot be written, or a path that is not a regular file exists: it is not
            changed.
        """
        check_is_fitted(self)
        export(LayerOutput(self.net_.module_, self._layer), self._layout.shape, path)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickling: attributes, versions, and the net as arrays.

        A net that was built from a user's own module or callable is pickled itself: it may hold
        more than weights, and building it again may give another one.
        """
        state = dict(super().__getstate__())
        state[VERSIONS] = versions()
        # A subclass elsewhere may build its net from more than ``_built``.
        ours = type(self).__module__.startswith("skdim.") and type(state.get("net_")) is EncoderNet
        if ours and not encode_parameters(self._built.parameters)[1]:
            with suppress(TypeError):  # NumPy does not have all dtypes of torch.
                state[PACKED] = pack_net(self.net_)
                del state["net_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, and build the net again."""
        state = dict(state)
        then, packed = state.pop(VERSIONS, None), state.pop(PACKED, None)
        if then is not None:
            warn_of_versions(type(self).__name__, then, CONSEQUENCE)
        super().__setstate__(state)
        if packed is None:
            return
        # ``set_params`` may have changed parameters after the fit.
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
    """Return header and tensors of a file; raise a ValueError if ``load`` could not read it."""
    check_is_fitted(estimator)
    kind, state = type(estimator), vars(estimator)
    built: Built = state["_built"]
    if not kind.__module__.startswith("skdim."):
        raise ValueError(
            f"{kind.__name__} is a class of {kind.__module__}, which skdim.load could not build. "
            "Use pickle or joblib for it."
        )
    net, weights = state["net_"], named_weights(state["net_"])
    encoded, given = encode_parameters(estimator.get_params(deep=False))
    built_encoded, built_given = encode_parameters(built.parameters)
    header = {
        "class": kind.__name__,
        "parameters": encoded,
        "given": given,
        "built": {
            # Those that ``set_params`` has changed after the fit.
            "parameters": {
                name: value
                for name, value in built_encoded.items()
                if name not in encoded or json.dumps(encoded[name]) != json.dumps(value)
            },
            "given": built_given,
            "sizes": built.sizes,
            "pairs": built.pairs,
            "n_samples": built.n_samples,
        },
        "attributes": {k: encode(state[k]) for k in (*ATTRIBUTES, *OPTIONAL) if k in state},
        "net": {
            # Callbacks may have recorded more than numbers.
            "history": [
                {k: encode(v) for k, v in epoch.items() if is_number(v, int, float)}
                for epoch in net.history
            ],
            "settings": {name: encode(getattr(net, name)) for name in SETTINGS},
        },
    }
    check_finite(weights, "These weights cannot be saved")
    return header, weights


def named_weights(net: EncoderNet) -> dict[str, Tensor]:
    """Return the weights and buffers of a net by their names in a file."""
    state = net.state()
    return {f"{part}.{name}": v for part in PARTS for name, v in state[part].items()}


def encode_parameters(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Encode parameters, and list the names of those that cannot be encoded."""
    encoded, given = {}, []
    for name, value in parameters.items():
        if name in LEFT_OUT:
            continue
        try:
            encoded[name] = encode(value)
        except EncodeError:
            given.append(name)
    return encoded, given


def pack_net(net: EncoderNet) -> dict[str, Any]:
    """Return a net as arrays, for ``load_net``; raise a TypeError for dtypes that NumPy lacks."""
    optimizer = net.optimizer_
    return {
        "weights": as_arrays(net.state()),
        "history": [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history],
        "settings": {name: getattr(net, name) for name in SETTINGS},
        "device": str(net.device),
        "optimizer": None if optimizer is None else as_arrays(optimizer.state_dict()),
    }


def as_arrays(tree: Any) -> Any:
    """Return nested values with arrays in place of tensors."""
    return mapped(tree, lambda v, _: v.detach().cpu().numpy() if isinstance(v, Tensor) else v)


def as_tensors(tree: Any) -> Any:
    """Return nested values with tensors in place of arrays."""
    return mapped(tree, lambda v, _: torch.tensor(v) if isinstance(v, np.ndarray) else v)


def load_net(
    spec: Spec, sizes: Features, packed: Mapping[str, Any], wanted: str | torch.device
) -> EncoderNet:
    """Build a net on the device "meta", and restore it from a result of ``pack_net``.

    Modules of parameters that are passed on loading ("given") are built with memory. A ValueError
    is raised if the net cannot be built, or the weights do not fit it.
    """
    largest = max(spec.layout.n_features, *(getattr(sizes, layer)[0].numel() for layer in LAYERS))
    if largest > MAX_SAMPLE_SIZE:
        raise ValueError(f"A sample or its features have {largest} numbers: too many.")
    own, weights = packed.get("given", ()), as_tensors(packed["weights"])
    meta = torch.device("meta")
    with seeded(0, torch.device("cpu")):
        try:
            with nullcontext() if {"encoder", "objective"} & {*own} else meta:
                module = build_encoder(spec.encoder, spec.n_components, spec.layout)
                wrap_encoder(module, spec, sizes)
            load_weights(module, weights["module"], "encoder")
            # Objectives may encode samples when they are built.
            module.eval()
            with nullcontext() if own else meta:
                criterion = build_criterion(spec, module, sizes)
        except (ArithmeticError, LookupError, RuntimeError, TypeError) as error:
            raise ValueError(f"A net cannot be built from the parameters: {error}") from error
        load_weights(criterion, weights["criterion"], "objective")
    device = find_device_here(packed["device"], wanted)
    net = assemble(spec, module, criterion, device, wanted)
    for name in SETTINGS:
        setattr(net, name, packed["settings"][name])
    # skorch expects a list of batches in each epoch.
    net.history.extend({"batches": [{}], **epoch} for epoch in packed["history"])
    if packed["optimizer"] is not None:
        net.make_optimizer()
        net.optimizer_.load_state_dict(as_tensors(packed["optimizer"]))
    net.module_.eval()
    net.criterion_.eval()
    return net


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor | Stored], owner: str) -> None:
    """Set all weights and buffers of a module that may have no memory.

    Names, shapes and dtypes are compared before values are read; a ValueError lists differences.
    """
    found, expected = describe_tensors(tensors), describe_tensors(module.state_dict())
    differing = [
        f"{name} is {found.get(name, 'missing')}, and should be {expected.get(name, 'absent')}"
        for name in {**expected, **found}
        if found.get(name) != expected.get(name)
    ]
    if differing:
        text = cut("; ".join(differing), MAX_ERROR_LENGTH)
        raise ValueError(f"The weights are not those of this {owner}; {text}.")
    read = {name: v.read() if isinstance(v, Stored) else v for name, v in tensors.items()}
    module.load_state_dict(read, assign=True)


def describe_tensors(tensors: Mapping[str, Tensor | Stored]) -> dict[str, str]:
    """Describe the dtypes and shapes of tensors."""
    return {
        name: f"{str(v.dtype).removeprefix('torch.')} of shape {tuple(v.shape)}"
        for name, v in tensors.items()
    }
