"""Settings of published trainings, as arguments of the transformer.

Each function gives a new dict: change it, merge it, or pass it on as it is. What the settings are
taken from, and in what the training differs from the published one, stands with each of them.

Common to all: images are standardised with the statistics of the training data, channel by
channel; batches are of about equal size, and no sample is left out; a sample is never its own
negative.
"""

from skdim.presets.paper import dim_global, dim_local, dim_local_global
from skdim.presets.reference import reference_cifar10, reference_stl10
from skdim.presets.tutorials import KERAS_WEIGHTS, keras_tutorial, pytorch_tutorial

__all__ = [
    "KERAS_WEIGHTS",
    "dim_global",
    "dim_local",
    "dim_local_global",
    "keras_tutorial",
    "pytorch_tutorial",
    "reference_cifar10",
    "reference_stl10",
]
