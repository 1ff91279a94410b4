"""From what the user wrote to the parts of a net: device, encoder, critics, view, optimizer."""

import copy
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skdim.critics import CRITICS, AbstractCritic, takes_map
from skdim.encoders import (
    ENCODERS,
    Adaptable,
    Features,
    LinearEncoder,
    UserEncoder,
    check_features,
)
from skdim.estimators.sketch import Sketch
from skdim.inputs import Layout, Rows, Standardise, channel_statistics
from skdim.training import find_own_device
from skdim.views import VIEWS, Identity, View

__all__ = [
    "OPTIMIZERS",
    "find_critics",
    "find_device",
    "find_view",
    "make_encoder",
    "make_standardise",
    "measure",
]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    # For games of several players: gradients turn as the others move, and long memories mislead.
    "adam_gan": partial(torch.optim.Adam, betas=(0.5, 0.999), fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}

ADAPTING_ROWS = 5000

IMAGE_HINT = ", or give image_shape"


def find_device(name: Any) -> torch.device:
    """Resolve a device.

    Raises
    ------
    ValueError
        If there is no such device here. There is no silent fallback.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    elif name == "accelerate":
        name = find_own_device()
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={name!r} is no device. Use 'auto', 'cpu', 'cuda', 'cuda:0', 'accelerate', ..."
        ) from error
    try:
        torch.zeros(1, device=device).item()
    except (AssertionError, ImportError, RuntimeError) as error:  # each backend in its own way
        reason = str(error).splitlines()[0].rstrip(".")
        seen = f" torch sees {torch.cuda.device_count()} CUDA devices." * (device.type == "cuda")
        raise ValueError(
            f"device={name!r} cannot be used here: {reason}.{seen} "
            "Use device='auto' or 'cpu', or a torch that was built for this device."
        ) from error
    return device


def make_standardise(rows: Rows) -> Standardise:
    """Measure the channels of the training data, and warn where there is nothing to learn."""
    mean, scale = channel_statistics(rows)
    constant = scale <= 1e-7 * abs(mean)
    if constant.all():
        warnings.warn(
            "All samples of X are equal: zero variance. Nothing can be learnt from them.",
            ConvergenceWarning,
            stacklevel=5,
        )
    scale[constant] = 1.0
    return Standardise(mean, scale, n_axes=len(rows.layout.shape) - 1)


def make_encoder(
    encoder: Any, n_components: int, standardise: Standardise, rows: Rows
) -> tuple[nn.Sequential, Features]:
    """Build an encoder, set it from the data where it asks for that, and measure it.

    Parameters
    ----------
    encoder : str, Module or callable
        As the estimator's parameter, but not "auto"; a module is copied.
    n_components : int
    standardise : Standardise
        Put in front.
    rows : Rows
        Training samples.

    Returns
    -------
    module : Sequential
        Standardisation and encoder: samples as given to Features, on the device of the rows.
    sizes : Features
        Of two samples.
    """
    layout = rows.layout
    if isinstance(encoder, str):
        made, name = ENCODERS[encoder](layout.shape, n_components), repr(encoder)
    elif isinstance(encoder, nn.Module):
        made, name = copy.deepcopy(encoder), type(encoder).__name__
    else:
        made = encoder(layout.shape, n_components)
        name = type(made).__name__
    if not isinstance(made, nn.Module):
        raise TypeError(
            f"encoder={encoder!r} gave an object of type {name}. It must give a torch.nn.Module "
            "when called with (input_shape, n_components)."
        )
    is_ours = type(made) in ENCODERS.values() or isinstance(made, LinearEncoder)
    built = made if is_ours else UserEncoder(made)
    module = nn.Sequential(standardise, built).to(rows.device)
    # Built again, it is given what it has learnt.
    if isinstance(made, Adaptable) and not isinstance(rows, Sketch):
        # Whatever weights were drawn before: of one seed, all sizes of codes have the same filters.
        torch.default_generator.manual_seed(torch.initial_seed())
        made.adapt(standardise(rows[rows.evenly_spaced(ADAPTING_ROWS)]))
    return module, measure(module, rows, name)


@torch.no_grad()
def measure(module: nn.Module, rows: Rows, name: str) -> Features:
    """Encode two samples to see the sizes of all layers."""
    module.eval()
    if isinstance(rows, Sketch) and (known := rows.features()) is not None:
        return known
    two = rows[rows.evenly_spaced(2)]
    try:
        features: Features = module(two)
    except TypeError:
        raise
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"The encoder {name} failed on two samples of shape {rows.layout.shape}: {error}"
        ) from error
    if two.device.type != "meta":
        check_features(features, len(two), name)
    return features


def find_critics(
    critic: Any, units: int | str
) -> Mapping[str, Callable[[int, Any], AbstractCritic]]:
    """Describe how the critics of the local and of the global term are built."""
    each = critic if isinstance(critic, Mapping) else {"local": critic, "global": critic}
    return {name: critic_factory(each.get(name, "dot"), units) for name in ("local", "global")}


def critic_factory(critic: Any, units: int | str) -> Callable[[int, Any], AbstractCritic]:
    """Describe how one critic is built from the sizes of code and local features."""
    if not isinstance(critic, str):
        return UserCritic(critic)
    factory = CRITICS[critic]
    return factory if units == "auto" else partial(factory, units=units)


class UserCritic:
    """Build a user's own critic: a copy of the one given, or what a callable gives.

    Parameters
    ----------
    given : AbstractCritic or callable
    """

    def __init__(self, given: Any) -> None:
        self.given = given
        self.whole_map = takes_map(given)

    def __call__(self, code_features: int, local_features: Any) -> AbstractCritic:
        """Build it.

        Raises
        ------
        TypeError
            If the callable gives anything but a critic.
        """
        if isinstance(self.given, AbstractCritic):
            return copy.deepcopy(self.given)
        made = self.given(code_features, local_features)
        if not isinstance(made, AbstractCritic):
            raise TypeError(
                f"critic={self.given!r} gave an object of type {type(made).__name__}. It must give "
                "a skdim.critics.AbstractCritic when called with (code_features, local_features)."
            )
        return made


def find_view(view: Any, layout: Layout, automatic: View) -> View:
    """Resolve a view; ``automatic`` is what "auto" stands for.

    Raises
    ------
    ValueError
        If a view of images is asked for where samples are vectors or signals.
    """
    if view is None:
        return Identity()
    if isinstance(view, str) and view == "auto":
        return automatic
    if not isinstance(view, str):
        found: View = view
        return found
    if not layout.is_image and view != "stretch":
        kind, hint = ("signals", "") if len(layout.shape) == 2 else ("vectors", IMAGE_HINT)
        raise ValueError(
            f"view={view!r} is a view of images, but the samples are {kind} of "
            f"{layout.n_features} features. Use view=None{hint}."
        )
    return VIEWS[view]
