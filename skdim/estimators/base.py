"""Parameters and attributes of transformers, and the steps of fit."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Generator, nn
from torch.utils.data import Subset

from skdim.closed_form import rotation
from skdim.devices import find_device, parse_device
from skdim.encoders import ENCODERS, LinearEncoder, takes_signals
from skdim.estimators.build import (
    OPTIMIZERS,
    Built,
    EncoderSpec,
    Spec,
    build_net,
    find_view,
)
from skdim.estimators.fitting import (
    auto_epochs,
    check_net,
    choose_solver,
    explained_errors,
    forget,
    is_auto,
    is_linear,
    split,
    warn_of_failure,
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
    Samples,
    Stream,
    as_images,
    find_layout,
)
from skdim.objectives import AbstractObjective, InfoMax
from skdim.parameters import check_parameters
from skdim.random import draw_seed, seeded
from skdim.training import (
    SETTINGS,
    Checkpoints,
    EarlyStopping,
    Schedule,
    agree_on_seed,
    check_precision,
)
from skdim.views import GivenLooks, Identity, View

# Of fits without callbacks of scikit-learn.
NOT_REPORTED = nullcontext(())

LABELS_HINT = "classifier_weight > 0 needs labels (without them, set it to 0)"


@dataclass(eq=False, repr=False)
class AbstractLearner(BaseEstimator):
    """Parameters and attributes of a transformer, and the steps of its ``fit``.

    Fields of the dataclass are parameters, as scikit-learn's contract for ``__init__`` asks for.
    """

    n_components: int = 64
    _: KW_ONLY
    objective: AbstractObjective | None = None
    image_shape: tuple[int, ...] | None = None
    channel_axis: int | None = None
    encoder: EncoderSpec = "auto"
    output: str = "code"
    view: str | View | None = "auto"
    max_epochs: int | str = "auto"
    batch_size: int = 64
    learning_rate: float = 1e-3
    optimizer: str | Callable[..., torch.optim.Optimizer] = "auto"
    schedule: str | Schedule = "one_cycle"
    validation_fraction: float | None = None
    early_stopping: bool = False
    n_iter_no_change: int = 10
    tol: float = 1e-4
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    device: str | torch.device = "auto"
    precision: str = "float32"
    compile: bool | str = False
    callbacks: list[Any] | None = None
    verbose: int = 0
    checkpoint_dir: str | PathLike[str] | None = None
    checkpoint_every: int = 1

    # Attributes that fit sets only where they differ from these.
    _n_looks = 1
    _reads_files = False
    _conversion = cast("NDArray[np.float64] | None", None)

    _rules = COMMON_RULES

    def _get_objective(self) -> AbstractObjective:
        return InfoMax() if self.objective is None else self.objective

    def _check(self) -> None:
        """Validate all parameters."""
        check_parameters(self, self._rules)
        self._get_objective().check()

    @property
    def encoder_(self) -> nn.Module:
        """The encoder with its standardisation, in evaluation mode: samples to Features."""
        encoder: nn.Module = self.net_.module_
        return encoder

    @property
    def device_(self) -> torch.device:
        """Device of the encoder."""
        return torch.device(self.net_.device)

    @property
    def output_(self) -> str:
        """Layer that ``transform`` returns."""
        return self._layer

    @property
    def sample_shape_(self) -> tuple[int, ...]:
        """Shape of a sample in the layout of the encoder: (C, H, W), (C, L) or (d,)."""
        return self._layout.shape

    @property
    def image_shape_(self) -> tuple[int, ...] | None:
        """Shape (C, H, W) of a sample; None for vectors and signals."""
        return self._layout.shape if self._layout.is_image else None

    @property
    def _n_features_out(self) -> int:
        """Number of columns that ``transform`` returns."""
        return self._built.n_features_out(self._layer)

    @property
    def history_(self) -> dict[str, list[float]]:
        """Values of every epoch, by name; nan where an epoch has no value."""
        epochs: list[dict[str, Any]] = self.net_.history
        names = [k for epoch in epochs[-1:] for k, v in epoch.items() if isinstance(v, float)]
        return {name: [epoch.get(name, math.nan) for epoch in epochs] for name in names}

    @property
    def loss_curve_(self) -> list[float]:
        """The loss of each epoch."""
        return self.history_["loss"]

    @property
    def canonical_correlations_(self) -> NDArray[np.float64]:
        """Correlations of the directions of the closed form, in decreasing order."""
        return self._solution().correlations.cpu().double().numpy()

    @property
    def directions_(self) -> NDArray[np.float64]:
        """Rotation from ``hidden`` to the directions of the closed form, as columns."""
        return rotation(len(self._solution().correlations)).T.numpy()

    def _solution(self) -> LinearEncoder:
        """Return the encoder; raise an AttributeError if it is not that of the closed form."""
        check_is_fitted(self)
        encoder = self.net_.module_[1]
        if not isinstance(encoder, LinearEncoder) or self.solver_ != "closed form":
            raise AttributeError(
                "Canonical correlations and directions exist only after a fit in closed form "
                "alone: see max_epochs."
            )
        return encoder

    def __sklearn_is_fitted__(self) -> bool:
        """Whether a net has been built."""
        return hasattr(self, "net_")

    def _start(
        self, X: ArrayLike, y: ArrayLike | None, checkpoints: Checkpoints | None = None
    ) -> Samples:
        """Validate ``X``, find a checkpoint, and build a net with initial weights."""
        self._entropy = agree_on_seed(self.device, draw_seed(self.random_state))
        rows = self._read(X, y, fit=True, reset=True)
        with rows:
            if checkpoints is not None:
                epochs = self._count_epochs(len(rows))
                self._entropy = checkpoints.start(self, rows, epochs, self._entropy)
            self.net_, spec, sizes = build_net(
                self._spec(rows.layout, len(rows)),
                rows,
                self._entropy,
                self.device,
                lr=float(self.learning_rate),
                batch_size=self.batch_size,
            )
        self._built = Built.of(self, spec, sizes)
        self._layer = self.output
        return rows

    def _continue(self, X: ArrayLike, y: ArrayLike | None) -> Samples:
        """Validate ``X`` for further training of the fitted net."""
        self._built.check_unchanged(self)
        if not is_auto(self.device):
            parse_device(self.device)  # Validated only: the net is not moved.
        rows = self._read(X, y, fit=True)
        n_before = self._built.n_samples
        if self._get_objective().keeps_samples and len(rows) != n_before:
            raise ValueError(
                f"X has {len(rows)} samples, but this {type(self).__name__} was fitted on "
                f"{n_before}, and its objective has a state for each of them. With "
                "warm_start=True, give the same rows again; for others, set warm_start=False."
            )
        return rows

    def _spec(self, layout: Layout, n_samples: int) -> Spec:
        """Resolve the parameters from which a net is built."""
        objective = self._get_objective()
        automatic = objective.defaults(layout, closed_form=self._has_closed_form())
        optimizer = automatic.optimizer if is_auto(self.optimizer) else self.optimizer
        view = find_view(self.view, layout, Identity() if self._n_looks > 1 else automatic.view)
        return Spec(
            encoder=automatic.encoder if is_auto(self.encoder) else self.encoder,
            n_components=self.n_components,
            objective=objective,
            view=GivenLooks(view, self._n_looks) if self._n_looks > 1 else view,
            optimizer=OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer,
            layout=layout,
            n_samples=n_samples,
            n_classes=len(getattr(self, "classes_", ())),
            gradients=self.max_epochs not in ("auto", 0),
        )

    def _has_closed_form(self) -> bool:
        """Whether encoder and objective have a closed form."""
        without = self._get_objective().without_closed_form()
        return without == [] and is_linear(self.encoder, automatic=self.max_epochs in ("auto", 0))

    def _count_epochs(self, n_samples: int) -> int:
        """Return the number of epochs of training by gradients."""
        if isinstance(self.max_epochs, str):
            return 0 if self._has_closed_form() else auto_epochs(n_samples)
        return int(self.max_epochs)

    def _train(
        self,
        rows: Samples,
        reporting: AbstractContextManager[Sequence[Any]] = NOT_REPORTED,
        checkpoints: Checkpoints | None = None,
        *,
        continues: bool,
        one_pass: bool = False,
    ) -> None:
        """Train the net, and record what was done; the net is changed only if all is valid."""
        net, objective = self.net_, self._get_objective()
        epochs = self._count_epochs(len(rows))
        solving, solver = choose_solver(
            self, objective, epochs, closed_form=self._has_closed_form(), continues=continues
        )
        settings = {name: getattr(self, parameter) for name, parameter in SETTINGS.items()}
        # skorch's history, and so history_, has floats of Python.
        settings["lr"] = float(self.learning_rate)
        stopping, fraction = None, 0.0
        if one_pass:
            epochs, settings["schedule"] = min(epochs, 1), "constant"
        else:
            if self.early_stopping:
                stopping = EarlyStopping(self.n_iter_no_change, self.tol)
            fraction = self.validation_fraction or (0.1 if stopping else 0.0)
        n_done = len(net.history)
        draws = np.random.default_rng([self._entropy, n_done])
        part, held_out = split(rows, fraction, draws)
        check_precision(self.precision, rows.device)
        check_net(net, epochs, held_out, objective.score_hint)
        generator = Generator(device=rows.device).manual_seed(int(draws.integers(2**63)))
        with reporting as events:
            self.solver_ = solver
            callbacks = [*(self.callbacks or []), *events, *([stopping] if stopping else [])]
            if checkpoints is not None:
                checkpoints.stopping = stopping
                callbacks.append(checkpoints)
            try:
                net.plan(callbacks, settings)
                with (
                    explained_errors(net, rows.device),
                    seeded(self._entropy + n_done, rows.device),
                ):
                    net.train(part, held_out, epochs=epochs, generator=generator, solving=solving)
                self.n_iter_ = stopping.best_epoch_ if stopping else len(net.history)
            except KeyboardInterrupt:
                if continues:
                    self.n_iter_ = len(net.history)
                raise
            except BaseException:
                forget(self)
                raise
            finally:
                net.clear_callbacks()
            warn_of_failure(self)

    def _read(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        fit: bool = False,
        reset: bool = False,
        compare: bool = False,
    ) -> Samples:
        """Validate ``X``, and ``y`` where it is used, and return them as samples with labels.

        ``fit`` and ``compare`` need two samples, and allow several looks at each.
        """
        device = find_device(self.device) if reset else self.device_
        if reset and is_folder(X):
            self._reads_files = True
        elif self._reads_files:
            _, height, width = self._layout.shape
            X = as_images(X, (height, width))
        expected = None if reset else self._n_looks if fit or compare else 1
        X, n_looks = open_looks(self, X, expected)
        make, shape, dtype = open_samples(
            self,
            X,
            at_least=2 if fit or compare else 1,
            n_looks=n_looks,
            fitted=None if reset else self._layout,
            preload=fit,
        )
        if reset:
            if n_looks > 1:
                self._n_looks = n_looks
            encoder = ENCODERS.get(self.encoder) if isinstance(self.encoder, str) else self.encoder
            self._layout: Layout = find_layout(
                shape, self.image_shape, self.channel_axis, signals=takes_signals(encoder)
            )
            self._given_shape = tuple(map(int, shape[1:]))
            conversion = choose_conversion(make, self._layout, dtype)
            if conversion is not None:
                self._conversion = conversion
        elif len(shape) > 2:
            self._layout.check_same(shape[1:])
        labels, known = None, getattr(self, "classes_", None)
        if fit and (self._get_objective().takes_labels if reset else known is not None):
            labels, self.classes_ = read_labels(
                y, shape[0] // n_looks, device, type(self).__name__, LABELS_HINT, known
            )
        convert = None
        if self._conversion is not None:
            convert = Conversion.of(self._conversion, self._layout)
        samples = make(self._layout, device, labels=labels, convert=convert, n_looks=n_looks)
        if not reset:
            warn_of_units(self.net_.module_[0], samples, type(self).__name__)
        return samples


def is_folder(X: object) -> bool:
    """Whether samples are all or some image files of a folder."""
    if isinstance(X, Stream):
        return is_folder(X.data)
    return is_folder(X.dataset) if isinstance(X, Subset) else isinstance(X, ImageFolder)
