"""Headers of files of former formats, brought to the present one."""

from collections.abc import Collection, Mapping
from typing import Any

from skdim.saving.plain import decode

__all__ = ["update_header"]

# In format 1, "patches" and PatchEncoder meant the network that has its own name since format 2.
PATCHES, NETWORK = {"callable": "PatchEncoder"}, {"callable": "PatchNetworkEncoder"}

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
    if header["format"] > 3:
        return updated
    attributes, built = header["attributes"], dict(header["built"])
    updated["built"] = built
    if header["format"] > 1:
        shape = decode(attributes["_layout"]).shape
        closed = attributes.get("solver_", "").startswith("closed form")
        for owner in (updated, built):
            owner["parameters"] = with_former_sizes(owner["parameters"], shape, closed=closed)
    else:
        # Encoders by their present names, trained by gradients.
        for owner in (updated, built):
            owner["parameters"] = rename_encoder(owner["parameters"])
        updated["attributes"] = {"solver_": "gradients", **attributes}
    if header["format"] > 2:
        return updated
    built["pairs"] = built.pop("looks")
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


def with_former_sizes(
    parameters: Mapping[str, Any], shape: tuple[int, ...], *, closed: bool
) -> dict[str, Any]:
    """Return parameters with the sizes that the encoder "patches" had until format 3.

    ``shape`` is that of a sample. "auto" was this encoder for images, if ``closed``: where the
    closed form was solved.
    """
    said = parameters.get("encoder")
    keywords: dict[str, Any] = {}
    if isinstance(said, dict) and "partial" in said:
        said, keywords = said["partial"]["of"], said["partial"]["keywords"]
    if said not in ("patches", PATCHES) and not (said == "auto" and closed and len(shape) == 3):
        return dict(parameters)
    mirrored = keywords.get("mirrored")
    each = 2 if (shape[0] == 3 if mirrored is None else mirrored) else 1
    # Mirror images were counted, and None was the default.
    former = {"n_filters": 128, "n_second": 384 if each == 2 else 256}
    former |= {name: size for name, size in keywords.items() if size is not None}
    sizes = {name: former[name] // each for name in ("n_filters", "n_second")}
    keywords = {**keywords, **sizes, "n_expanded": 0}
    return {**parameters, "encoder": {"partial": {"of": PATCHES, "args": [], "keywords": keywords}}}
