"""Headers of files of older formats, brought to the present one."""

from collections.abc import Mapping
from typing import Any

__all__ = ["update_header"]

# In format 1, "patches" and PatchEncoder meant the network that has its own name since format 2.
RENAMED = {"callable": {"PatchEncoder": "PatchNetworkEncoder"}}


def update_header(header: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a header to the present format.

    Parameters
    ----------
    header : mapping
        As ``check_header`` allows it, of any format up to the present one; it is not changed.

    Returns
    -------
    dict
        Of format 1, with the names that its encoders have now, and trained by gradients, since
        nothing else could be done then. Of format 2, as it is.
    """
    if header["format"] > 1:
        return dict(header)
    built = header["built"]
    return {
        **header,
        "parameters": update_parameters(header["parameters"]),
        "built": {**built, "parameters": update_parameters(built["parameters"])},
        "attributes": {"solver_": "gradients", **header["attributes"]},
    }


def update_parameters(said: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the encoder to its present name."""
    if "encoder" not in said:
        return dict(said)
    encoder = said["encoder"]
    return {**said, "encoder": "patch_network" if encoder == "patches" else rename(encoder)}


def rename(said: Any) -> Any:
    """Rename classes wherever they stand in a value in plain words, as inside partial calls."""
    if isinstance(said, list):
        return [rename(part) for part in said]
    if not isinstance(said, dict):
        return said
    return {
        tag: RENAMED[tag].get(part, part)
        if tag in RENAMED and isinstance(part, str)
        else rename(part)
        for tag, part in said.items()
    }
