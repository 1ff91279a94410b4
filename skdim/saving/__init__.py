"""Serialization: files of tensors and JSON, and values in JSON; never a pickle."""

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
from skdim.saving.fingerprints import describe_data, describe_parameters, fingerprint
from skdim.saving.former import update_header
from skdim.saving.onnx import Transforming, export
from skdim.saving.plain import (
    NotPlainError,
    decode,
    encode,
    flatten,
    mapped,
    unflatten,
)

__all__ = [
    "FORMAT",
    "NotPlainError",
    "Stored",
    "Transforming",
    "VersionWarning",
    "check_finite",
    "check_regular",
    "decode",
    "describe_data",
    "describe_parameters",
    "encode",
    "export",
    "fingerprint",
    "flatten",
    "mapped",
    "open_container",
    "remove_partial_files",
    "to_bytes",
    "unflatten",
    "update_header",
    "versions",
    "warn_of_versions",
    "write_atomically",
]
