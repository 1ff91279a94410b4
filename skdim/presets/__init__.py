"""Settings of published trainings, as arguments of the transformer.

Each function returns a new dict, and documents its source and the differences to the published
training. Common to all: images are standardised with the statistics of the training data, channel
by channel; batches are of about equal size, and no sample is left out; a sample is never its own
negative.
"""

from skdim.presets.paper import (
    dim_global,
    dim_local,
    dim_local_global,
    reference_cifar10,
    reference_stl10,
)
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
