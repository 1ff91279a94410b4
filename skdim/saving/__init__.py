"""Serialization: files of tensors and JSON, and values in JSON; never a pickle."""

from skdim.saving.container import FORMAT, check_finite, read_container, read_file, to_bytes
from skdim.saving.files import remove_partial_files, write_atomically
from skdim.saving.fingerprints import describe_data, describe_parameters, fingerprint
from skdim.saving.older import update_header
from skdim.saving.onnx import export
from skdim.saving.plain import NotPlainError, decode, encode
from skdim.saving.trees import flatten, mapped, unflatten
from skdim.saving.versions import VersionWarning, versions, warn_of_versions

__all__ = [
    "FORMAT",
    "NotPlainError",
    "VersionWarning",
    "check_finite",
    "decode",
    "describe_data",
    "describe_parameters",
    "encode",
    "export",
    "fingerprint",
    "flatten",
    "mapped",
    "read_container",
    "read_file",
    "remove_partial_files",
    "to_bytes",
    "unflatten",
    "update_header",
    "versions",
    "warn_of_versions",
    "write_atomically",
]
