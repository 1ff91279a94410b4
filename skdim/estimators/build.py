"""From parameters to the modules of a net: build, adapt, measure; none does what another does."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from torch import Generator, Tensor, nn

from skdim.devices import UNUSABLE, check_device, find_accelerator, first_line
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
from skdim.parameters import is_same, shown, stacklevel_of_user
from skdim.random import seeded
from skdim.training import SETTINGS, EncoderNet, choose_net, find_own_device
from skdim.views import VIEWS, Identity, Pairs, Stretch, View, find_pairs, view_of_one

__all__ = [
    "NOT_BUILT_FROM",
    "OPTIMIZERS",
    "Built",
    "EncoderSpec",
    "Spec",
    "adapt_encoder",
    "assemble",
    "build_criterion",
    "build_encoder",
    "build_net",
    "find_device",
    "find_device_here",
    "find_view",
    "measure",
    "parse_device",
    "wrap_encoder",
]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    # For adversaries: gradients turn as the others move, so that long memories mislead.
    "adam_gan": partial(torch.optim.Adam, betas=(0.5, 0.999), fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}

ADAPTING_ROWS = 5000
# Numbers of samples that are standardised at once for it.
ADAPTING_NUMBERS = 2**22

# Parameters of a training, and not of what is trained.
READ_EACH_TIME = (
    *SETTINGS.values(),
    *("max_epochs", "validation_fraction", "early_stopping", "n_iter_no_change", "tol"),
    *("warm_start", "checkpoint_every"),
)

# Parameters without a part in building a net.
NOT_BUILT_FROM = ("callbacks", "checkpoint_dir", "device", "random_state")

EncoderSpec = str | nn.Module | Callable[..., nn.Module]


@dataclass(frozen=True)
class Spec:
    """What a net is built from, "auto" resolved."""

    encoder: EncoderSpec
    n_components: int
    objective: AbstractObjective
    view: View
    optimizer: Callable[..., torch.optim.Optimizer]
    layout: Layout
    n_samples: int
    n_classes: int
    # Whether ``max_epochs`` asks for training by gradients.
    gradients: bool
    # Which looks are compared; see :func:`skdim.views.find_pairs`.
    pairs: Pairs = ()


@dataclass(frozen=True)
class Built:
    """What a net was built from: the one description for pickles, files and further training."""

    # Of the estimator when it was fitted: ``set_params`` may have changed them since.
    parameters: dict[str, Any]
    # Which looks are compared.
    pairs: Pairs
    n_samples: int
    # Shapes of the features of a sample, layer by layer.
    sizes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, estimator: BaseEstimator, spec: Spec, features: Features) -> Self:
        """Describe what the net of an estimator is built from."""
        parameters = {
            # ``set_params`` of the estimator changes objectives in place.
            name: value.copied() if isinstance(value, AbstractObjective) else value
            for name, value in estimator.get_params(deep=False).items()
            if name not in NOT_BUILT_FROM
        }
        sizes = {layer: tuple(getattr(features, layer).shape[1:]) for layer in LAYERS}
        return cls(parameters, spec.pairs, spec.n_samples, sizes)

    def features(self) -> Features:
        """Return features of two samples that have shapes, but take no memory."""
        return Features(*(torch.empty(2, *self.sizes[name], device="meta") for name in LAYERS))

    def n_features_out(self, layer: str) -> int:
        """Return the number of columns of a layer as ``transform`` returns it."""
        return layer_of(self.features(), layer)[0].numel()

    def check_unchanged(self, estimator: BaseEstimator) -> None:
        """Raise a ValueError if what was trained was built from other parameters."""
        changed = [
            f"{name}={shown(getattr(estimator, name))} (was {shown(before)})"
            for name, before in self.parameters.items()
            if name not in READ_EACH_TIME and not is_same(getattr(estimator, name), before)
        ]
        if changed:
            raise ValueError(
                f"{', '.join(changed)}: training cannot go on with what was built from other "
                "parameters. Set them back, or begin anew: fit with warm_start=False."
            )


def find_device(name: str | torch.device) -> torch.device:
    """Resolve a device; raise a ValueError if it is not here: there is no silent fallback."""
    if name == "auto":
        return find_accelerator()
    device = parse_device(name)
    try:
        check_device(device)
    except UNUSABLE as error:
        seen = f" torch sees {torch.cuda.device_count()} CUDA devices." * (device.type == "cuda")
        raise ValueError(
            f"device={shown(name)} cannot be used here: {first_line(error)}.{seen} "
            "Use device='auto' or 'cpu', or a torch that was built for this device."
        ) from error
    return device


def parse_device(name: str | torch.device) -> torch.device:
    """Return the device of a name, but "auto"; raise a ValueError for other names."""
    if name == "accelerate":
        name = find_own_device()
    try:
        return torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={shown(name)} is not a valid device. Use 'auto', 'cpu', 'cuda', 'cuda:0', "
            "'accelerate', ..."
        ) from error


def find_device_here(name: str, wanted: str | torch.device) -> torch.device:
    """Find the device where a net was, or else the CPU; warn if the next ``fit`` will fail."""
    try:
        return find_device(name)
    except ValueError as error:
        if wanted != "auto":
            warnings.warn(
                f"The transformer was fitted on device={wanted!r} and is now on the CPU: {error} "
                "To fit it again here, call set_params(device='auto') first.",
                stacklevel=stacklevel_of_user(),
            )
        return torch.device("cpu")


def find_view(view: str | View | None, layout: Layout, automatic: View) -> View:
    """Resolve a view; raise a ValueError for a view of images where samples are none."""
    if view is None:
        return Identity()
    if not isinstance(view, str):
        return view
    if view == "auto":
        return automatic
    if not layout.is_image and not isinstance(VIEWS[view], Stretch):
        kind, hint = "vectors", ", or give image_shape"
        if len(layout.shape) == 2:
            kind, hint = "signals", ""
        raise ValueError(
            f"view={shown(view)} is a view of images, but the samples are {kind} of "
            f"{layout.n_features} features. Use view=None{hint}."
        )
    return VIEWS[view]


def build_encoder(encoder: EncoderSpec, n_components: int, layout: Layout) -> nn.Sequential:
    """Build a standardisation that changes nothing yet, and an encoder; no data is read.

    The encoder is as the transformer's parameter, but not "auto"; a module is copied. A TypeError
    is raised if a callable returns anything but a module.
    """
    if isinstance(encoder, nn.Module):
        made = copy.deepcopy(encoder)
    else:
        factory = ENCODERS[encoder] if isinstance(encoder, str) else encoder
        made = factory(layout.shape, n_components)
    if not isinstance(made, nn.Module):
        raise TypeError(
            f"encoder={shown(encoder)} gave an object of type {type(made).__name__}. It must give "
            "a torch.nn.Module when called with (input_shape, n_components)."
        )
    is_ours = type(made) in ENCODERS.values() or isinstance(made, LinearEncoder)
    standardise = Standardise.identity(layout.shape)
    return nn.Sequential(standardise, made if is_ours else UserEncoder(made))


def adapt_encoder(module: nn.Sequential, rows: Samples) -> None:
    """Set the standardisation from the samples, and the encoder where it asks for samples.

    Module and samples are on the CPU: so the result does not depend on the device.
    """
    standardise, encoder = module
    assert isinstance(standardise, Standardise)
    mean, scale = channel_statistics(rows)
    constant = scale <= 1e-7 * abs(mean)
    if constant.all():
        warnings.warn(
            "All samples of X are equal: zero variance. Nothing can be learnt from them.",
            ConvergenceWarning,
            stacklevel=stacklevel_of_user(),
        )
    scale[constant] = 1.0
    standardise.set_statistics(mean, scale)
    adapted = encoder.module if isinstance(encoder, UserEncoder) else encoder
    if not isinstance(adapted, Adaptable):
        standardised(standardise, rows[rows.evenly_spaced(2)])
        return
    # Whatever weights were drawn before: of one seed, all sizes of codes have the same filters.
    torch.default_generator.manual_seed(torch.initial_seed())
    numbers = rows.evenly_spaced(ADAPTING_ROWS)
    reduce, parts = getattr(adapted, "reduce", None), []
    for some in torch.split(numbers, max(2, ADAPTING_NUMBERS // rows.layout.n_features)):
        x = standardised(standardise, rows[some])
        parts.append(x if reduce is None else reduce(x, len(numbers)))
    whole = torch.cat(parts)
    parts.clear()
    adapted.adapt(whole)


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
    """Encode some samples to find the sizes of all layers; raise a ValueError if that fails."""
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
    """Put the objective's own encoder in place of the given one; return whether it has one."""
    wrapped = spec.objective.wrap(module[1], sizes, spec.n_components)
    if wrapped is not None:
        module[1] = wrapped
    return wrapped is not None


def build_criterion(spec: Spec, module: nn.Sequential, sizes: Features) -> AbstractCriterion:
    """Build what the encoder is trained with; no data is read."""
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
    kind: type[EncoderNet],
    **settings: Any,
) -> EncoderNet:
    """Put encoder and criterion into a net, initialised, on a device."""
    net = kind(
        module,
        criterion,
        view=spec.view,
        optimizer=spec.optimizer,
        device=str(device),
        callbacks=None,
        verbose=0,
        **settings,
    )
    net.initialize()
    return net


def build_net(
    spec: Spec,
    rows: Samples,
    entropy: int,
    device: str | torch.device,
    **settings: Any,
) -> tuple[EncoderNet, Spec, Features]:
    """Build a net for training: draw first weights, and adapt the encoder to the samples.

    ``device`` is the transformer's parameter, which says which loop trains; ``settings`` are ``lr``
    and ``batch_size``. Return the net, the spec with ``pairs``, and features of two samples.
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
    net = assemble(spec, module, criterion, rows.device, choose_net(device), **settings)
    return net, spec, sizes


def compared_looks(view: View, rows: Samples) -> Pairs:
    """Return which looks are compared; raise a ValueError if a view fails on two samples."""
    tried, single = view_of_one(view), rows.single()
    x = single[single.numbers[:2]].float()
    looks: Any = tried(x, Generator(device=rows.device).manual_seed(0))
    shapes = [
        look.shape if isinstance(look, Tensor) else None
        for look in (looks if isinstance(looks, tuple | list) else ())
    ]
    if not shapes or any(shape != x.shape for shape in shapes):
        raise ValueError(
            f"view={shown(tried)} gave {describe_output(looks)} for samples of shape "
            f"{tuple(x.shape)}. It must give a tuple of tensors of that shape, one a look."
        )
    return find_pairs(view, len(shapes) * rows.n_looks)
