"""Building of a net: build modules from parameters, adapt them to data, measure their output."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from torch import Generator, Tensor, nn

from skdim.encoders import (
    ENCODERS,
    LAYERS,
    Adaptable,
    Features,
    LinearEncoder,
    UserEncoder,
    check_features,
    layer_of,
)
from skdim.encoders.adapter import describe_output
from skdim.inputs import Layout, Samples, Standardise, channel_statistics
from skdim.objectives import AbstractCriterion, AbstractObjective, Setting
from skdim.parameters import is_same, shown, warn_user
from skdim.random import seeded
from skdim.training import SETTINGS, EncoderNet, choose_net
from skdim.views import VIEWS, Identity, Pairs, Stretch, View, find_pairs, view_of_one

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    # For adversaries, whose gradients change direction: momentum must be small.
    "adam_gan": partial(torch.optim.Adam, betas=(0.5, 0.999), fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}

# Maximum number of samples that an encoder adapts to, and of values that are standardised at once.
ADAPTING_ROWS = 5000
ADAPTING_VALUES = 2**22

# Parameters of the training, which may change between trainings of one net.
OF_TRAINING = (
    *SETTINGS.values(),
    *("max_epochs", "validation_fraction", "early_stopping", "n_iter_no_change", "tol"),
    *("warm_start", "checkpoint_every"),
)

# Parameters from which no net is built.
NOT_BUILT_FROM = ("callbacks", "checkpoint_dir", "device", "random_state")

EncoderSpec = str | nn.Module | Callable[..., nn.Module]


@dataclass(frozen=True)
class Spec:
    """Parameters and sizes from which a net is built, "auto" resolved."""

    encoder: EncoderSpec
    n_components: int
    objective: AbstractObjective
    view: View
    optimizer: Callable[..., torch.optim.Optimizer]
    layout: Layout
    n_samples: int
    n_classes: int
    # Whether the net is trained by gradients.
    gradients: bool
    # Pairs of looks that are compared; see :func:`skdim.views.find_pairs`.
    pairs: Pairs = ()


@dataclass(frozen=True)
class Built:
    """Description of a fitted net, for pickles, files and further training."""

    # Those of the estimator in ``fit``, unlike the present ones after ``set_params``.
    parameters: dict[str, Any]
    pairs: Pairs
    n_samples: int
    # Shape of the features of a sample in each layer.
    sizes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, estimator: BaseEstimator, spec: Spec, features: Features) -> Self:
        """Return the description of an estimator's net, with features of some samples."""
        parameters = {
            # A copy, since ``set_params`` of the estimator changes objectives in place.
            name: value.copied() if isinstance(value, AbstractObjective) else value
            for name, value in estimator.get_params(deep=False).items()
            if name not in NOT_BUILT_FROM
        }
        sizes = {layer: tuple(getattr(features, layer).shape[1:]) for layer in LAYERS}
        return cls(parameters, spec.pairs, spec.n_samples, sizes)

    def features(self) -> Features:
        """Return features of two samples on device "meta", which take no memory."""
        return Features(*(torch.empty(2, *self.sizes[name], device="meta") for name in LAYERS))

    def n_features_out(self, layer: str) -> int:
        """Return the number of columns of a layer as ``transform`` returns it."""
        return layer_of(self.features(), layer)[0].numel()

    def check_unchanged(self, estimator: BaseEstimator) -> None:
        """Raise a ValueError if the estimator has other parameters than the fitted net."""
        changed = [
            f"{name}={shown(getattr(estimator, name))} (was {shown(before)})"
            for name, before in self.parameters.items()
            if name not in OF_TRAINING and not is_same(getattr(estimator, name), before)
        ]
        if changed:
            raise ValueError(
                f"{', '.join(changed)}: training cannot continue with other parameters. Restore "
                "them, or fit with warm_start=False to start again."
            )


def find_view(view: str | View | None, layout: Layout, automatic: View) -> View:
    """Return the view of a parameter; raise a ValueError for a view of images without images."""
    if not isinstance(view, str):
        return Identity() if view is None else view
    if view == "auto":
        return automatic
    if not layout.is_image and not isinstance(VIEWS[view], Stretch):
        signals = len(layout.shape) == 2
        raise ValueError(
            f"view={shown(view)} is a view of images, but the samples are "
            f"{'signals' if signals else 'vectors'} of {layout.n_features} features. "
            f"Use view=None{'' if signals else ', or give image_shape'}."
        )
    return VIEWS[view]


def build_encoder(encoder: EncoderSpec, n_components: int, layout: Layout) -> nn.Sequential:
    """Build an encoder after a standardisation that is the identity; no data is read.

    ``encoder`` is the transformer's parameter, "auto" resolved; a module is copied. A TypeError is
    raised if a callable does not return a module.
    """
    if isinstance(encoder, nn.Module):
        made = copy.deepcopy(encoder)
    else:
        factory = ENCODERS[encoder] if isinstance(encoder, str) else encoder
        made = factory(layout.shape, n_components)
    if not isinstance(made, nn.Module):
        raise TypeError(
            f"encoder={shown(encoder)} returned an object of type {type(made).__name__}. It must "
            "return a torch.nn.Module when called with (input_shape, n_components)."
        )
    if type(made) not in ENCODERS.values() and not isinstance(made, LinearEncoder):
        made = UserEncoder(made)
    return nn.Sequential(Standardise.identity(layout.shape), made)


def adapt_encoder(module: nn.Sequential, rows: Samples) -> None:
    """Set the standardisation from samples, and adapt the encoder to them if it is adaptable.

    Module and samples are on the CPU, so that the result does not depend on the device.
    """
    standardise, encoder = module
    assert isinstance(standardise, Standardise)
    mean, scale = channel_statistics(rows)
    constant = scale <= 1e-7 * abs(mean)
    if constant.all():
        text = "All samples of X are equal: zero variance. Nothing can be learnt from them."
        warn_user(text, ConvergenceWarning)
    scale[constant] = 1.0
    standardise.set_statistics(mean, scale)
    adapted = encoder.module if isinstance(encoder, UserEncoder) else encoder
    if not isinstance(adapted, Adaptable):
        standardised(standardise, rows[rows.evenly_spaced(2)])
        return
    # For one seed, filters must not depend on draws of weights, whose number varies with the code.
    torch.default_generator.manual_seed(torch.initial_seed())
    numbers = rows.evenly_spaced(ADAPTING_ROWS)
    reduce, parts = getattr(adapted, "reduce", None), []
    for some in torch.split(numbers, max(2, ADAPTING_VALUES // rows.layout.n_features)):
        x = standardised(standardise, rows[some])
        parts.append(x if reduce is None else reduce(x, len(numbers)))
    reduced = torch.cat(parts)
    parts.clear()
    adapted.adapt(reduced)


def standardised(standardise: nn.Module, samples: Tensor) -> Tensor:
    """Standardise samples, and raise a ValueError if the results are not finite."""
    x: Tensor = standardise(samples)
    if not x.isfinite().all():
        raise ValueError(
            "X cannot be standardised in float32: its values are too large, or differ by too "
            "little. Divide X by a constant, for example by its largest absolute value."
        )
    return x


@torch.no_grad()
def measure(module: nn.Sequential, samples: Tensor) -> Features:
    """Encode some samples to find the sizes of layers; raise a ValueError for invalid features."""
    module.eval()
    encoder = module[1].module if isinstance(module[1], UserEncoder) else module[1]
    name = type(encoder).__name__
    try:
        features: Features = module(samples)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"The encoder {name} failed on two samples of shape {tuple(samples.shape[1:])}: {error}"
        ) from error
    check_features(features, len(samples), name)
    return features


def wrap_encoder(module: nn.Sequential, spec: Spec, sizes: Features) -> bool:
    """Replace the encoder by one of the objective; return whether the objective has one."""
    wrapped = spec.objective.wrap(module[1], sizes, spec.n_components)
    if wrapped is not None:
        module[1] = wrapped
    return wrapped is not None


def build_criterion(spec: Spec, module: nn.Sequential, sizes: Features) -> AbstractCriterion:
    """Build the criterion of the objective; no data is read."""
    criterion = spec.objective.build(
        Setting(
            sizes,
            spec.pairs,
            standardise=module[0],
            encoder=module[1],
            shape=spec.layout.shape,
            n_samples=spec.n_samples,
            n_classes=spec.n_classes,
            gradients=spec.gradients,
        )
    )
    if not isinstance(criterion, AbstractCriterion):
        raise TypeError(
            f"build of {type(spec.objective).__name__} returned an object of type "
            f"{type(criterion).__name__}. It must return a skdim.objectives.AbstractCriterion."
        )
    return criterion


def assemble(
    spec: Spec,
    module: nn.Sequential,
    criterion: AbstractCriterion,
    device: torch.device,
    wanted: str | torch.device,
    **settings: Any,
) -> EncoderNet:
    """Build an initialised net of an encoder and a criterion on a device.

    ``wanted`` is the transformer's parameter, which determines the class of the net.
    """
    kind = choose_net(wanted)
    settings |= {"device": str(device), "callbacks": None, "verbose": 0}
    net = kind(module, criterion, view=spec.view, optimizer=spec.optimizer, **settings)
    net.initialize()
    return net


def build_net(
    spec: Spec,
    rows: Samples,
    entropy: int,
    device: str | torch.device,
    **settings: Any,
) -> tuple[EncoderNet, Spec, Features]:
    """Build a net for training: draw initial weights, and adapt the encoder to the samples.

    ``device`` is the transformer's parameter; ``settings`` are ``lr`` and ``batch_size``. Return
    the net, the spec with ``pairs``, and features of two samples.
    """
    with seeded(entropy, rows.device):
        module = build_encoder(spec.encoder, spec.n_components, spec.layout).cpu()
        single = rows.single()
        adapt_encoder(module, single.on_cpu())
        module.to(rows.device)
        two = single[single.evenly_spaced(2)]
        sizes = measure(module, two)
        if wrap_encoder(module, spec, sizes):
            sizes = measure(module.to(rows.device), two)
        spec = replace(spec, pairs=compared_looks(spec.view, rows))
        criterion = build_criterion(spec, module, sizes)
    net = assemble(spec, module, criterion, rows.device, device, **settings)
    return net, spec, sizes


def compared_looks(view: View, rows: Samples) -> Pairs:
    """Return which looks are compared; raise a ValueError if the view has an invalid output."""
    view_of_each, single = view_of_one(view), rows.single()
    x = single[single.numbers[:2]].float()
    looks: Any = view_of_each(x, Generator(device=rows.device).manual_seed(0))
    valid = isinstance(looks, tuple | list) and len(looks) > 0
    if not valid or any(not isinstance(v, Tensor) or v.shape != x.shape for v in looks):
        raise ValueError(
            f"view={shown(view_of_each)} returned {describe_output(looks)} for samples of shape "
            f"{tuple(x.shape)}. It must return a tuple of tensors of that shape, one for each look."
        )
    return find_pairs(view, len(looks) * rows.n_looks)
