"""Headers of files of format 1, brought to the present one."""

from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["update_header"]

# "patches" and PatchEncoder meant the network that now has its own name.
PATCHES, NETWORK = {"callable": "PatchEncoder"}, {"callable": "PatchNetworkEncoder"}

# Each objective had a transformer of its own, with its parameters among others.
FORMER_CLASSES = {
    "AAETransformer": ("AAE", ("prior", "prior_weight")),
    "AutoencoderTransformer": ("Autoencoder", ()),
    "BiGANTransformer": ("BiGAN", ("prior", "gradient_penalty")),
    "CPCTransformer": ("CPC", ("n_predicted", "critic_units")),
    "NATTransformer": ("NAT", ()),
    "VAETransformer": ("VAE", ("beta",)),
}


def update_header(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header of format 1, or of the present one, in the present format.

    AttributeError, KeyError or TypeError are raised if a header of format 1 lacks something.
    """
    updated = dict(header)
    if header["format"] > 1:
        return updated
    built, net = dict(header["built"]), dict(header["net"])
    attributes = {"solver_": "gradients", **header["attributes"]}
    updated |= {"built": built, "net": net, "attributes": attributes}
    net["history"] = net.pop("books")
    built["pairs"] = built.pop("looks")
    for owner in (updated, built):
        owner["parameters"] = rename_encoder(owner["parameters"])
    if header["class"] in FORMER_CLASSES:
        name, own = FORMER_CLASSES[header["class"]]
        known = {**updated["parameters"], **built["parameters"]}
        built |= with_objective(name, own, built, known)
        updated |= with_objective(name, own, updated, updated["parameters"])
        updated["class"] = "EncoderTransformer"
    return updated


def with_objective(
    name: str, own: Collection[str], owner: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Return parameters, and which are given on loading, with an objective in place of its own."""
    said = {"class": name, "parameters": {key: known[key] for key in own if key in known}}
    rest = {key: value for key, value in owner["parameters"].items() if key not in own}
    given = owner["given"]
    if any(key in own for key in given):
        return {"parameters": rest, "given": [*(set(given) - set(own)), "objective"]}
    return {"parameters": {**rest, "objective": {"objective": said}}, "given": list(given)}


def rename_encoder(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with the present name of the encoder."""
    encoder = parameters.get("encoder")
    new = {"encoder": "patch_network" if encoder == "patches" else renamed(encoder)}
    return {**parameters, **(new if "encoder" in parameters else {})}


def renamed(said: object) -> Any:
    """Rename classes wherever they stand in a value in plain words, as inside partial calls."""
    if said == PATCHES:
        return NETWORK
    if isinstance(said, list):
        return [renamed(part) for part in said]
    return {tag: renamed(part) for tag, part in said.items()} if isinstance(said, dict) else said
