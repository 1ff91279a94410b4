"""Priors that several presets share."""

from dataclasses import replace

from skdim.critics import keras_discriminator
from skdim.priors import PRIORS, Prior

__all__ = ["keras_prior", "penalised_prior"]


def penalised_prior() -> Prior:
    """Return the uniform prior with the reference's gradient penalty."""
    return replace(PRIORS["uniform"], gradient_penalty=1.0)


def keras_prior() -> Prior:
    """Return the uniform prior with the Keras tutorial's discriminator."""
    return replace(PRIORS["uniform"], discriminator=keras_discriminator)
