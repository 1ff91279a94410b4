"""Headers of files of older formats, brought to the present one."""

from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["update_header"]

# In format 1, "patches" and PatchEncoder meant the network that has its own name since format 2.
OLD, NEW = {"callable": "PatchEncoder"}, {"callable": "PatchNetworkEncoder"}

# Until format 2, each objective had a transformer of its own, with its parameters among others.
FORMER_CLASSES = {
    "AAETransformer": ("AAE", ("prior", "prior_weight")),
    "AutoencoderTransformer": ("Autoencoder", ()),
    "BiGANTransformer": ("BiGAN", ("prior", "gradient_penalty")),
    "CPCTransformer": ("CPC", ("n_predicted", "critic_units")),
    "NATTransformer": ("NAT", ()),
    "VAETransformer": ("VAE", ("beta",)),
}


def update_header(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header, of any format up to the present one, in the present format.

    AttributeError, KeyError or TypeError are raised if an older header lacks something.
    """
    updated = dict(header)
    if header["format"] < 2:
        updated = update_encoders(updated)
    if header["format"] < 3:
        updated = update_objective(updated)
    return updated


def update_encoders(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header of format 2: encoders by their present names, trained by gradients."""
    built = header["built"]
    return {
        **header,
        "parameters": update_parameters(header["parameters"]),
        "built": {**built, "parameters": update_parameters(built["parameters"])},
        "attributes": {"solver_": "gradients", **header["attributes"]},
    }


def update_objective(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header of format 3: an objective as a parameter."""
    built = dict(header["built"])
    built["pairs"] = built.pop("looks")
    header = {**header, "built": built}
    if header["class"] not in FORMER_CLASSES:
        return header
    name, own = FORMER_CLASSES[header["class"]]
    now = header["parameters"]
    then = {**now, **built["parameters"]}
    return {
        **header,
        "class": "EncoderTransformer",
        **with_objective(name, own, now, header["given"]),
        "built": {**built, **with_objective(name, own, built["parameters"], built["given"], then)},
    }


def with_objective(
    name: str,
    own: Collection[str],
    parameters: Mapping[str, Any],
    given: Collection[str],
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return parameters, and which are given on loading, with an objective in place of its own."""
    known = parameters if known is None else known
    said = {"class": name, "parameters": {key: known[key] for key in own if key in known}}
    rest = {key: value for key, value in parameters.items() if key not in own}
    if any(key in own for key in given):
        return {"parameters": rest, "given": [*(set(given) - set(own)), "objective"]}
    return {"parameters": {**rest, "objective": {"objective": said}}, "given": list(given)}


def update_parameters(said: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the encoder to its present name."""
    if "encoder" not in said:
        return dict(said)
    encoder = said["encoder"]
    return {**said, "encoder": "patch_network" if encoder == "patches" else rename(encoder)}


def rename(said: object) -> Any:
    """Rename classes wherever they stand in a value in plain words, as inside partial calls."""
    if said == OLD:
        return NEW
    if isinstance(said, list):
        return [rename(part) for part in said]
    return {tag: rename(part) for tag, part in said.items()} if isinstance(said, dict) else said
