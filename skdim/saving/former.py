"""Update headers of files of format 1 to the present format."""

import copy
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["update_header"]

# In format 1, "patches" and PatchEncoder are the network that now has its own name.
PATCHES, NETWORK = '{"callable": "PatchEncoder"}', '{"callable": "PatchNetworkEncoder"}'

# Each objective had its own transformer, whose parameters included those of the objective.
FORMER_CLASSES = {
    "AAETransformer": ("AAE", {"prior", "prior_weight"}),
    "AutoencoderTransformer": ("Autoencoder", set()),
    "BiGANTransformer": ("BiGAN", {"prior", "gradient_penalty"}),
    "CPCTransformer": ("CPC", {"n_predicted", "critic_units"}),
    "NATTransformer": ("NAT", set()),
    "VAETransformer": ("VAE", {"beta"}),
}


def update_header(header: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a header of format 1, or of the present one, in the present format.

    AttributeError, KeyError or TypeError are raised if a header of format 1 is not valid.
    """
    if header["format"] > 1:
        return header
    updated = copy.deepcopy(dict(header))
    built, net = updated["built"], updated["net"]
    updated["attributes"] = {"solver_": "gradients", **updated["attributes"]}
    net["history"] = net.pop("books")
    built["pairs"] = built.pop("looks")
    # First ``built``, which has only the parameters that differ from the others.
    for owner in (built, updated):
        if header["class"] in FORMER_CLASSES:
            use_objective(owner, updated["parameters"], *FORMER_CLASSES[header["class"]])
        if "encoder" in owner["parameters"]:
            owner["parameters"]["encoder"] = rename_encoder(owner["parameters"]["encoder"])
    if header["class"] in FORMER_CLASSES:
        updated["class"] = "EncoderTransformer"
    return updated


def use_objective(
    owner: dict[str, Any], parameters: Mapping[str, Any], name: str, own: set[str]
) -> None:
    """Replace the parameters of an objective, or that they are given on loading, by it."""
    parameters = {**parameters, **owner["parameters"]}
    owner["parameters"] = {k: v for k, v in owner["parameters"].items() if k not in own}
    if own & set(owner["given"]):
        owner["given"] = [*(set(owner["given"]) - own), "objective"]
    else:
        values = {key: parameters[key] for key in own if key in parameters}
        objective = {"class": name, "parameters": values}
        owner["parameters"]["objective"] = {"objective": objective}


def rename_encoder(encoder: object) -> Any:
    """Return an encoder with its present name, also within partial calls."""
    if encoder == "patches":
        return "patch_network"
    return json.loads(json.dumps(encoder).replace(PATCHES, NETWORK))
