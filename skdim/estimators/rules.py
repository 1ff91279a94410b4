"""What the parameters that all transformers share may be."""

import os

import numpy as np
import torch
from torch import nn

from skdim.encoders import ENCODERS, LAYERS
from skdim.estimators.parameters import (
    any_of,
    boolean,
    choice,
    instance,
    integer,
    is_callable,
    list_of_callbacks,
    none,
    one_of_numbers,
    real,
    sequence_of_sides,
)
from skdim.estimators.parts import OPTIMIZERS
from skdim.training import PRECISIONS, SCHEDULES
from skdim.views import VIEWS

__all__ = ["COMMON_RULES"]

COMMON_RULES = {
    "n_components": integer(1),
    "image_shape": any_of(sequence_of_sides(), none()),
    "channel_axis": any_of(one_of_numbers(1, -1), none()),
    "encoder": any_of(
        choice(["auto", *ENCODERS]),
        instance("a torch.nn.Module", nn.Module),
        is_callable("a callable (input_shape, n_components) -> torch.nn.Module"),
    ),
    "output": choice(LAYERS),
    "view": any_of(
        choice(["auto", *VIEWS]), none(), is_callable("a callable (x, generator) -> looks")
    ),
    "max_epochs": any_of(integer(0), choice(["auto"])),
    "batch_size": integer(2),
    "learning_rate": real(0, low_open=True),
    "optimizer": any_of(choice(OPTIMIZERS), is_callable("a torch.optim.Optimizer class")),
    "schedule": choice(SCHEDULES),
    "validation_fraction": any_of(real(0, 1, low_open=True), none()),
    "early_stopping": boolean(),
    "n_iter_no_change": integer(1),
    "tol": real(0),
    "warm_start": boolean(),
    "random_state": any_of(
        integer(0, 2**32 - 1),
        instance("a numpy.random.RandomState", np.random.RandomState),
        none(),
    ),
    "device": any_of(instance("a device name", str), instance("a torch.device", torch.device)),
    "precision": choice(PRECISIONS),
    "compile": any_of(boolean(), choice(["default", "reduce-overhead", "max-autotune"])),
    "callbacks": any_of(list_of_callbacks(), none()),
    "verbose": any_of(integer(0), boolean()),
    "checkpoint_dir": any_of(instance("a path", str, os.PathLike), none()),
    "checkpoint_every": integer(1),
}
