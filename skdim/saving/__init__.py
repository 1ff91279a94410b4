"""Serialization to files of tensors and JSON, without pickles."""

from skdim.saving.container import (
    FORMAT,
    Stored,
    VersionWarning,
    check_finite,
    check_regular,
    open_container,
    remove_partial_files,
    to_bytes,
    versions,
    warn_of_versions,
    write_atomically,
)
from skdim.saving.encoding import (
    EncodeError,
    decode,
    encode,
    flatten,
    mapped,
    unflatten,
)
from skdim.saving.fingerprints import describe_training
from skdim.saving.onnx import LayerOutput, export

__all__ = [
    "FORMAT",
    "EncodeError",
    "LayerOutput",
    "Stored",
    "VersionWarning",
    "check_finite",
    "check_regular",
    "decode",
    "describe_training",
    "encode",
    "export",
    "flatten",
    "mapped",
    "open_container",
    "remove_partial_files",
    "to_bytes",
    "unflatten",
    "versions",
    "warn_of_versions",
    "write_atomically",
]
