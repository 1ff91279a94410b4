"""Trainings of widely read tutorials."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from skdim.critics import keras_discriminator
from skdim.priors import PRIORS

# Shared by both tutorials.
TUTORIAL: dict[str, Any] = {
    "bound": "jsd",
    "negatives": "shift",
    "view": None,
    "learning_rate": 1e-4,
    "optimizer": "adam",
    "schedule": "constant",
}

#: The weights that the Keras tutorial trains with: global, local, prior.
KERAS_WEIGHTS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "global": (1.0, 0.0, 1.0),
        "local": (0.0, 1.0, 0.1),
        "mixed": (0.6, 0.4, 0.0),
        "mixed with prior": (0.6, 0.4, 0.2),
    }
)


def pytorch_tutorial() -> dict[str, Any]:
    """Return the settings of a widely read PyTorch tutorial on Deep InfoMax.

    Four unpadded convolutions, concatenating critics on a local map of 26x26 (for 32x32 images),
    the maps of the next sample as negatives, Jensen-Shannon bounds weighted 0.5 (global), 1.0
    (local) and 0.1 (prior), Adam at 1e-4, batches of 64, no augmentation. ``max_epochs`` is not
    set, as the tutorial does not state it.

    With the same weights, the local and the global term equal the tutorial's minus the constant
    2 ln 2 of the bound. Intended differences:

    - The prior term. In the tutorial, the encoder minimises the discriminator's loss, too, and
      learns to be discriminated from the prior. Here they are adversaries, on codes squashed into
      the range of the prior.
    - Images are standardised with the statistics of the training data, and batches are of about
      equal size; the tutorial uses pixels in [0, 1] and drops incomplete batches.
    - Convolutions before batch normalisation have no biases.

    Returns
    -------
    dict of str to object
        Arguments of :class:`~skdim.DeepInfoMaxTransformer`; a new dict at every call.

    References
    ----------
    The tutorial follows the code of D. Nielsen, DeepInfomaxPytorch (2018), after Hjelm et al.
    (2019), arXiv:1808.06670.

    Examples
    --------
    >>> from skdim import DeepInfoMaxTransformer
    >>> from skdim.presets import pytorch_tutorial
    >>> settings = pytorch_tutorial() | {"batch_size": 128}
    >>> DeepInfoMaxTransformer(**settings, max_epochs=1, random_state=0).encoder
    'valid_cnn'
    """
    return TUTORIAL | {
        "n_components": 64,
        "encoder": "valid_cnn",
        "global_weight": 0.5,
        "local_weight": 1.0,
        "prior_weight": 0.1,
        "critic": {"local": "concat", "global": "map"},
        "prior": "uniform",
        "batch_size": 64,
    }


def keras_tutorial(weights: str = "local") -> dict[str, Any]:
    """Return the settings of a widely read Keras tutorial on Deep InfoMax for MNIST.

    One 6x6 convolution of stride 5 and 1x1 convolutions, a code of 32, concatenating critics of the
    tutorial's sizes, the maps of the next sample as negatives, Jensen-Shannon bounds, Adam at 1e-4,
    batches of 128, 5 epochs, no augmentation.

    With the same weights, the local and the global term equal the tutorial's minus the constant
    2 ln 2 of the bound. Intended differences:

    - The prior term. In the tutorial, the "prior" is the encoder's output on a constant image, and
      the encoder minimises a function of absolute scores, which is not a divergence. Here codes are
      matched to a uniform prior, against the tutorial's discriminator with batch normalisation.
    - Images are standardised with the statistics of the training data; the tutorial uses pixels in
      [0, 1].

    Parameters
    ----------
    weights : {"global", "local", "mixed", "mixed with prior"}, default="local"
        A key of :data:`KERAS_WEIGHTS`: weights of global, local and prior of 1, 0, 1; 0, 1, 0.1;
        0.6, 0.4, 0; or 0.6, 0.4, 0.2.

    Returns
    -------
    dict of str to object
        Arguments of :class:`~skdim.DeepInfoMaxTransformer`; a new dict at every call.

    Raises
    ------
    ValueError
        If ``weights`` is not one of these.

    References
    ----------
    The method is that of Hjelm et al. (2019), arXiv:1808.06670; the networks are the tutorial's.

    Examples
    --------
    >>> from skdim.presets import KERAS_WEIGHTS, keras_tutorial
    >>> [keras_tutorial(weights)["global_weight"] for weights in KERAS_WEIGHTS]
    [1.0, 0.0, 0.6, 0.6]
    """
    if weights not in KERAS_WEIGHTS:
        listed = ", ".join(map(repr, KERAS_WEIGHTS))
        raise ValueError(f"weights={weights!r} is not valid. Allowed are {listed}.")
    global_weight, local_weight, prior_weight = KERAS_WEIGHTS[weights]
    return TUTORIAL | {
        "n_components": 32,
        "encoder": "stride5_cnn",
        "global_weight": global_weight,
        "local_weight": local_weight,
        "prior_weight": prior_weight,
        "critic": "concat",
        "critic_units": {"local": (128, 64, 32, 16), "global": (128, 16)},
        "prior": replace(PRIORS["uniform"], discriminator=keras_discriminator),
        "max_epochs": 5,
        "batch_size": 128,
    }
