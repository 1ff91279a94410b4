"""What transformers share: parameters, attributes, reading X, building and training a net."""

import math
from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.utils.data import Subset

from skdim.closed_form import rotation
from skdim.encoders import ENCODERS, LinearEncoder, takes_signals
from skdim.estimators.build import (
    OPTIMIZERS,
    Built,
    EncoderSpec,
    Spec,
    build_net,
    find_device,
    find_view,
    parse_device,
)
from skdim.estimators.fitting import (
    Plan,
    auto_epochs,
    check_plan,
    choose_solver,
    forget,
    is_linear,
    run,
    warn_of_failure,
    warn_of_idle,
    why_not_closed,
)
from skdim.estimators.labels import read_labels
from skdim.estimators.validation import (
    COMMON_RULES,
    choose_conversion,
    open_looks,
    open_samples,
    warn_of_units,
)
from skdim.inputs import (
    Conversion,
    ImageFolder,
    Layout,
    PairedSamples,
    Samples,
    Stream,
    as_images,
    find_layout,
)
from skdim.objectives import AbstractObjective, InfoMax
from skdim.parameters import Rule, any_of, check_parameters, instance, none
from skdim.random import draw_seed
from skdim.training import SETTINGS, Checkpoints, EarlyStopping, Schedule, agree_on_seed
from skdim.views import GivenLooks, Identity, View

__all__ = ["AbstractLearner"]

RULES = COMMON_RULES | {
    "objective": any_of(instance("a skdim.objectives.AbstractObjective", AbstractObjective), none())
}

NEED = "classifier_weight > 0 needs labels (without them, set it to 0)"


class AbstractLearner(BaseEstimator):
    """Parameters and attributes of a transformer, and what its public methods have in common."""

    classes_: NDArray[Any]
    _layout: Layout

    def __init__(
        self,
        n_components: int = 64,
        *,
        objective: AbstractObjective | None = None,
        image_shape: tuple[int, ...] | None = None,
        channel_axis: int | None = None,
        encoder: EncoderSpec = "auto",
        output: str = "code",
        view: str | View | None = "auto",
        max_epochs: int | str = "auto",
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        optimizer: str | Callable[..., torch.optim.Optimizer] = "auto",
        schedule: str | Schedule = "one_cycle",
        validation_fraction: float | None = None,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        precision: str = "float32",
        compile: bool | str = False,
        callbacks: list[Any] | None = None,
        verbose: int = 0,
        checkpoint_dir: str | PathLike[str] | None = None,
        checkpoint_every: int = 1,
    ) -> None:
        self.n_components = n_components
        self.objective = objective
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.encoder = encoder
        self.output = output
        self.view = view
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.schedule = schedule
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.compile = compile
        self.callbacks = callbacks
        self.verbose = verbose
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_every = checkpoint_every

    def _rules(self) -> dict[str, Rule]:
        return RULES

    def _get_objective(self) -> AbstractObjective:
        return InfoMax() if self.objective is None else self.objective

    def _check(self) -> None:
        """Check all parameters."""
        check_parameters(self, self._rules())
        self._get_objective().check()

    @property
    def encoder_(self) -> nn.Module:
        """The trained encoder in evaluation mode: samples as given, arranged, to Features."""
        encoder: nn.Module = self.net_.module_
        return encoder

    @property
    def device_(self) -> torch.device:
        """Where the encoder is."""
        return torch.device(self.net_.device)

    @property
    def output_(self) -> str:
        """Layer that ``transform`` returns."""
        return self._layer

    @property
    def sample_shape_(self) -> tuple[int, ...]:
        """Shape of a sample as the encoder takes it: (C, H, W), (C, L) or (d,)."""
        return self._layout.shape

    @property
    def image_shape_(self) -> tuple[int, ...] | None:
        """Shape (C, H, W) of a sample; None for vectors and signals."""
        return self._layout.shape if self._layout.is_image else None

    @property
    def _n_features_out(self) -> int:
        """How many columns ``transform`` returns, as scikit-learn asks for it."""
        return self._built.n_features_out(self._layer)

    @property
    def history_(self) -> dict[str, list[float]]:
        """What is known of the last epoch, as a list an epoch; nan where it was not known."""
        epochs: list[dict[str, Any]] = self.net_.history
        names = [k for epoch in epochs[-1:] for k, v in epoch.items() if isinstance(v, float)]
        return {name: [epoch.get(name, math.nan) for epoch in epochs] for name in names}

    @property
    def loss_curve_(self) -> list[float]:
        """The loss of each epoch."""
        return self.history_["loss"]

    @property
    def canonical_correlations_(self) -> NDArray[np.float64]:
        """Correlations of the directions of the closed form, the largest first."""
        return self._solution().correlations.cpu().double().numpy()

    @property
    def directions_(self) -> NDArray[np.float64]:
        """Rotation from ``hidden`` to the directions of the closed form, as columns."""
        return rotation(len(self._solution().correlations)).T.numpy()

    def _solution(self) -> LinearEncoder:
        """Return the encoder, if it is still that of the closed form."""
        check_is_fitted(self)
        encoder = self.net_.module_[1]
        if not isinstance(encoder, LinearEncoder) or self.solver_ != "closed form":
            raise AttributeError(
                "Only what was fitted in closed form alone has canonical correlations and "
                "directions: see max_epochs."
            )
        return encoder

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a trained encoder."""
        return hasattr(self, "net_")

    def _begin(
        self, X: ArrayLike, y: ArrayLike | None, written: Checkpoints | None = None
    ) -> Samples:
        """Read ``X``, look for checkpoints, and build a net with first weights."""
        self._entropy = agree_on_seed(self.device, draw_seed(self.random_state))
        rows = self._read(X, y, at_least=2, fit=True, reset=True)
        with rows:
            if written is not None:
                epochs = self._count_epochs(len(rows))
                self._entropy = written.start(self, rows, epochs, self._entropy)
            spec = self._spec(rows.layout, len(rows))
            self.net_, spec, sizes = build_net(
                spec,
                rows,
                self._entropy,
                self.device,
                lr=float(self.learning_rate),
                batch_size=self.batch_size,
            )
        self._built = Built.of(self, spec, sizes)
        self._layer = self.output
        return rows

    def _go_on(self, X: ArrayLike, y: ArrayLike | None) -> Samples:
        """Read ``X`` for more training of what there is."""
        self._built.check_unchanged(self)
        if not is_auto(self.device):
            parse_device(self.device)  # Validated only: the net is not moved.
        rows = self._read(X, y, at_least=2, fit=True)
        n_before = self._built.n_samples
        if self._get_objective().keeps_samples and len(rows) != n_before:
            raise ValueError(
                f"X has {len(rows)} samples, but this {type(self).__name__} was fitted on "
                f"{n_before}, and its objective has a state for each of them. With "
                "warm_start=True, give the same rows again; for others, set warm_start=False."
            )
        return rows

    def _spec(self, layout: Layout, n_samples: int) -> Spec:
        """Resolve what a net is built from."""
        objective = self._get_objective()
        automatic = objective.defaults(layout, closed_form=self._has_closed_form())
        optimizer = automatic.optimizer if is_auto(self.optimizer) else self.optimizer
        view = find_view(self.view, layout, Identity() if self._n_given > 1 else automatic.view)
        return Spec(
            encoder=automatic.encoder if is_auto(self.encoder) else self.encoder,
            n_components=self.n_components,
            objective=objective,
            view=GivenLooks(view, self._n_given) if self._n_given > 1 else view,
            optimizer=OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer,
            layout=layout,
            n_samples=n_samples,
            n_classes=len(getattr(self, "classes_", ())),
            gradients=self.max_epochs not in ("auto", 0),
        )

    @property
    def _n_given(self) -> int:
        """How many looks at each sample were given."""
        return getattr(self, "_n_looks", 1)

    def _has_closed_form(self) -> bool:
        """Whether all that is to be trained has a closed form."""
        without = self._get_objective().without_closed_form()
        return without == [] and is_linear(self.encoder, automatic=self.max_epochs in ("auto", 0))

    def _count_epochs(self, n_samples: int) -> int:
        """Return how many epochs by gradients ``max_epochs`` asks for."""
        if isinstance(self.max_epochs, str):
            return 0 if self._has_closed_form() else auto_epochs(n_samples)
        return int(self.max_epochs)

    def _plan(
        self,
        rows: Samples,
        *,
        going_on: bool,
        one_pass: bool = False,
        written: Checkpoints | None = None,
    ) -> Plan:
        """Decide how to train; ``one_pass`` holds nothing out."""
        epochs = self._count_epochs(len(rows))
        linear = isinstance(self.net_.module_[1], LinearEncoder)
        if epochs == 0 and not (linear and self._has_closed_form()):
            raise ValueError(why_not_closed(self, self._get_objective()))
        before = getattr(self, "solver_", "") if going_on else None
        solving, self.solver_ = choose_solver(self.net_, epochs, before)
        if epochs == 0:
            warn_of_idle(self)
        settings = {name: getattr(self, given) for name, given in SETTINGS.items()}
        # skorch's history, like ours, keeps plain floats.
        settings["lr"] = float(self.learning_rate)
        if one_pass:
            settings["schedule"] = "constant"
        stopping = None
        if self.early_stopping and not one_pass:
            stopping = EarlyStopping(self.n_iter_no_change, self.tol)
        share = self.validation_fraction or (0.1 if stopping else 0.0)
        return Plan(
            epochs=min(epochs, 1) if one_pass else epochs,
            solving=solving,
            held_out=0.0 if one_pass else share,
            stopping=stopping,
            callbacks=list(self.callbacks or []),
            settings=settings,
            checkpoints=written,
        )

    def _train(self, rows: Samples, plan: Plan, *, going_on: bool) -> None:
        """Train, and write down how it went."""
        check_plan(self.net_, rows, plan, self._get_objective().score_hint)
        try:
            self.n_iter_ = run(self.net_, rows, plan, self._entropy)
        except KeyboardInterrupt:
            if going_on:
                self.n_iter_ = len(self.net_.history)
            raise
        except BaseException:
            forget(self)
            raise
        warn_of_failure(self)

    def _read(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        at_least: int = 1,
        fit: bool = False,
        reset: bool = False,
        compare: bool = False,
    ) -> Samples:
        """Check ``X``, and ``y`` where it is used, and return them as samples with labels.

        ``compare`` is whether looks are compared, and not samples encoded.
        """
        device = find_device(self.device) if reset else self.device_
        fitted = None if reset else self._layout
        if reset and is_folder(X):
            self._reads_files = True
        elif getattr(self, "_reads_files", False):
            _, height, width = self._layout.shape
            X = as_images(X, (height, width))
        expected = None if reset else self._n_given if fit or compare else 1
        X, n_looks = open_looks(self, X, expected)
        make, shape, dtype = open_samples(
            self, X, at_least=at_least, n_looks=n_looks, fitted=fitted, hold=fit
        )
        if reset:
            if n_looks > 1:
                self._n_looks = n_looks
            encoder = ENCODERS.get(self.encoder) if isinstance(self.encoder, str) else self.encoder
            self._layout = find_layout(
                shape, self.image_shape, self.channel_axis, signals=takes_signals(encoder)
            )
            self._given_shape = tuple(map(int, shape[1:]))
            found = choose_conversion(make, self._layout, dtype)
            if found is not None:
                self._conversion = found
        elif len(shape) > 2:
            self._layout.check_same(shape[1:])
        labels, known = None, None if reset else getattr(self, "classes_", None)
        if fit and (self._get_objective().takes_labels if reset else known is not None):
            labels, self.classes_ = read_labels(
                y, shape[0] // n_looks, device, type(self).__name__, NEED, known
            )
        kept = getattr(self, "_conversion", None)
        convert = None if kept is None else Conversion.of(kept, self._layout)
        each = make(self._layout, device, labels=labels if n_looks == 1 else None, convert=convert)
        if not reset:
            warn_of_units(self.net_.module_[0], each, type(self).__name__)
        return each if n_looks == 1 else PairedSamples(each, n_looks, labels)


def is_folder(X: object) -> bool:
    """Whether samples are the image files of a folder, or some of them."""
    if isinstance(X, Stream):
        return is_folder(X.data)
    return is_folder(X.dataset) if isinstance(X, Subset) else isinstance(X, ImageFolder)


def is_auto(value: object) -> bool:
    """Whether a parameter, which may be a module, is "auto"."""
    return isinstance(value, str) and value == "auto"
