"""The paper's methods, each on the paper's encoder, at the scale of a table."""

from collections.abc import Callable
from functools import partial
from typing import Any

from skdim import DeepInfoMaxTransformer, EncoderTransformer
from skdim.critics import DotCritic
from skdim.objectives import AAE, NAT, VAE, Autoencoder, BiGAN

# The paper's local critic at an eighth of its width: at 2,048 units it costs 14 encoders.
CRITIC = {"local": partial(DotCritic, units=256, network=True), "global": "concat"}

INFOMAX = partial(DeepInfoMaxTransformer, critic=CRITIC, view=None)
LOCAL = partial(INFOMAX, local_weight=1.0, prior_weight=0.1)
SUPERVISED = {"local_weight": 0.0, "classifier_weight": 1.0}
COORDINATES = {"coordinate_weight": 0.5, "relative_coordinate_weight": 0.5}

METHODS: dict[str, Callable[..., Any]] = {
    "supervised": partial(INFOMAX, **SUPERVISED),
    "AE": partial(EncoderTransformer, objective=Autoencoder()),
    "VAE": partial(EncoderTransformer, objective=VAE()),
    "AAE": partial(EncoderTransformer, objective=AAE()),
    "BiGAN": partial(EncoderTransformer, objective=BiGAN()),
    "NAT": partial(EncoderTransformer, objective=NAT(), view=None),
    "DIM(G)": partial(INFOMAX, global_weight=1.0, local_weight=0.0, prior_weight=1.0, bound="jsd"),
    "DIM(L+G)": partial(
        INFOMAX, global_weight=0.5, local_weight=0.1, prior_weight=0.1, bound="jsd"
    ),
    "DIM(L) JSD": partial(LOCAL, bound="jsd"),
    "DIM(L) NCE": partial(LOCAL, bound="infonce"),
    "DIM": partial(LOCAL, bound="infonce"),
    "DIM (coord)": partial(LOCAL, bound="infonce", **COORDINATES),
    "DIM (occlude)": partial(LOCAL, bound="infonce", view="occlude"),
    "DIM (coord + occlude)": partial(LOCAL, bound="infonce", view="occlude", **COORDINATES),
}
