"""What outlives the process: files of tensors, and values in plain words; never a pickle."""

from skdim.persistence.files import FORMAT, read_file, write_file
from skdim.persistence.older import update_header
from skdim.persistence.plain import NotPlainError, decode, encode
from skdim.persistence.versions import VersionWarning, versions, warn_of_versions

__all__ = [
    "FORMAT",
    "NotPlainError",
    "VersionWarning",
    "decode",
    "encode",
    "read_file",
    "update_header",
    "versions",
    "warn_of_versions",
    "write_file",
]
