"""What all transformers share: reading X, training an encoder, giving its features."""

from abc import ABC, abstractmethod
from contextlib import nullcontext
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skdim.encoders import ENCODERS, LAYERS, Features, takes_signals
from skdim.estimators.closed_form import SolvableMixin
from skdim.estimators.fitting import (
    Plan,
    build_net,
    check_plan,
    check_unchanged,
    count_epochs,
    forget,
    forgetting,
    run,
    warn_of_collapse,
)
from skdim.estimators.labels import read_labels
from skdim.estimators.parameters import Rule, check_parameters
from skdim.estimators.parts import find_device, make_encoder
from skdim.estimators.reading import open_source
from skdim.estimators.rules import COMMON_RULES
from skdim.estimators.saving.mixin import PersistentMixin
from skdim.estimators.saving.rebuilding import columns_of, describe_build
from skdim.estimators.saving.resuming import Run, check_checkpoints
from skdim.inference import encode_rows, layer_of
from skdim.inputs import Rows, Standardise, find_layout
from skdim.inputs.draws import draw_seed
from skdim.objectives import AbstractObjective, Setting
from skdim.training import agree_on_seed

__all__ = ["AbstractTransformer"]

SCORING_SEED = 0


class AbstractTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, PersistentMixin, SolvableMixin, ABC
):
    """Train an encoder by an objective, and give its features.

    A subclass is its objective, with the constructor and the rules of what is its own.
    """

    # What to do where there is no score.
    _score_hint: ClassVar[str] = "Compare probes of its codes instead"

    def __init__(
        self,
        n_components: int = 64,
        *,
        image_shape: tuple[int, ...] | None = None,
        channel_axis: int | None = None,
        encoder: Any = "auto",
        output: str = "code",
        view: Any = "auto",
        max_epochs: int | str = "auto",
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        optimizer: Any = "adam",
        schedule: str = "one_cycle",
        validation_fraction: float | None = None,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        device: Any = "auto",
        precision: str = "float32",
        compile: bool | str = False,
        callbacks: list[Any] | None = None,
        verbose: int = 0,
        checkpoint_dir: str | PathLike[str] | None = None,
        checkpoint_every: int = 1,
    ) -> None:
        self.n_components = n_components
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
        """Return the constraints of each parameter."""
        return COMMON_RULES

    def _make_encoder(self, standardise: Standardise, rows: Rows) -> tuple[nn.Sequential, Features]:
        """Build what is trained and kept, as ``skdim.estimators.parts.make_encoder`` does."""
        return make_encoder(self._chosen_encoder(rows.layout), self.n_components, standardise, rows)

    @abstractmethod
    def _make_objective(self, setting: Setting) -> AbstractObjective:
        """Build what the encoder is trained with."""

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train an encoder on ``X``.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, H, W), (n, C, H, W) or (n, H, W, C), or a \
                map-style Dataset of torch, or a Stream
            At least two samples; (n, C, L) for an encoder of signals. uint8 images stay uint8 until
            a batch is taken; all other numbers are read as float32. An item of a data set is a
            sample, or a tuple that begins with one; :class:`~skdim.inputs.Stream` reads it by
            worker processes.
        y : array-like of shape (n,), default=None
            Not looked at, unless there is a term for labels and its weight is above 0: then classes
            of any type, and -1 for rows without one.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter, ``X`` or ``y`` is not allowed; the text says what is.
        FloatingPointError
            If the training diverges. The transformer is then unfitted, as it is after Ctrl-C
            unless ``warm_start`` had something to go on from.
        RuntimeError
            If another training uses the ``checkpoint_dir``.
        """
        check_parameters(self, self._rules())
        check_checkpoints(self)
        going_on = self.warm_start and self.__sklearn_is_fitted__()
        with Run() as written:
            rows = self._go_on(X, y) if going_on else self._begin(X, y, written)
            plan = self._plan(rows, going_on=going_on, checkpoints=written.checkpoints)
            with rows:
                self._train(rows, plan, going_on=going_on)
        if not self.warm_start:
            self.net_.drop_state()
        return self

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Add ``X`` to the sums of the closed form; or train for one pass, at a constant rate.

        The first call sets the standardisation, the classes and the sizes of all layers; later ones
        keep them, the weights and the state of the optimizer. Nothing is held out.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            As in ``fit``: as many samples as there are at a time, at least two.
        y : array-like of shape (n,), default=None
            As in ``fit``. Where it is looked at, the first call must hold all classes that there
            will be; a later one may be without any label, all -1.

        Returns
        -------
        self : object
        """
        check_parameters(self, self._rules())
        going_on = self.__sklearn_is_fitted__()
        rows = self._go_on(X, y) if going_on else self._begin(X, y)
        with rows:
            plan = self._plan(rows, going_on=going_on, one_pass=True)
            self._train(rows, plan, going_on=going_on)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Encode ``X``.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            Samples of the fitted shape, flat or not.

        Returns
        -------
        ndarray of shape (n, n_features_out), float32
            The layer named by ``output``, maps flattened. A row depends on its own sample only.
        """
        check_is_fitted(self)
        with self._read(X) as rows:
            features = np.empty((len(rows), self._n_features_out), np.float32)
            start = 0
            for chunk in encode_rows(self.encoder_, rows, self._layer):
                features[start : start + len(chunk)] = chunk.flatten(1).cpu().numpy()
                start += len(chunk)
        return features

    def encode(self, X: ArrayLike, output: str | None = None) -> Tensor:
        """Encode ``X`` to a tensor on ``device_``, for torch users and for other layers.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            As in ``transform``.
        output : {"code", "hidden", "conv", "local"}, default=None
            Layer to give; None is the one that ``transform`` gives.

        Returns
        -------
        Tensor of shape (n, d) or (n, c, *grid)
            Maps keep their grid.

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        check_is_fitted(self)
        if output is not None and output not in LAYERS:
            raise ValueError(f"output={output!r} is no layer. Allowed are {', '.join(LAYERS)}.")
        layer = output or self._layer
        with self._read(X) as rows:
            return torch.cat(list(encode_rows(self.encoder_, rows, layer)))

    def read_samples(self, X: ArrayLike, rows: ArrayLike | None = None) -> Tensor:
        """Return samples as the encoder is shown them: in its layout, before standardisation.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            As in ``transform``.
        rows : array-like of shape (m,), default=None
            Numbers of the samples to give; None gives all.

        Returns
        -------
        Tensor of shape (m, C, H, W), (m, C, L) or (m, d), uint8 or float32
            On ``device_``; ``encoder_`` takes it as it is.
        """
        check_is_fitted(self)
        with self._read(X) as read:
            chosen = np.arange(len(read)) if rows is None else np.asarray(rows)
            return read[torch.as_tensor(chosen, device=read.device)]

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Measure on ``X`` what the encoder was trained for; the more the better.

        Deep InfoMax in closed form: the information between looks, by the Gaussian critic, in nats.
        With gradients: a bound on the information between the code and the local (else the whole
        last) map, in nats for the bounds "dv", "kl" and "infonce", else in the units of its
        divergence. Weights are left out, so that scores can be compared over weights. They depend
        on the bound, the negatives and ``batch_size``, and can only be compared where these are
        equal. What the other transformers measure stands in their documentation.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            At least two samples, as in ``transform``.
        y : Ignored
            Present for consistency with the scikit-learn API.

        Returns
        -------
        float
            Of samples as they are; in closed form, of looks at them.

        Raises
        ------
        ValueError
            If nothing that was trained measures anything: Deep InfoMax without the local and the
            global term.
        """
        check_is_fitted(self)
        with self._read(X, at_least=2) as rows:
            score = self.net_.score_rows(rows, SCORING_SEED)
        if score is None:
            raise ValueError(
                f"This {type(self).__name__} has no score: it was trained without a term that "
                f"measures information. {self._score_hint}."
            )
        return score

    @property
    def encoder_(self) -> nn.Module:
        """The trained encoder in evaluation mode: samples as given, arranged, to Features."""
        encoder: nn.Module = self.net_.module_
        return encoder

    @property
    def device_(self) -> torch.device:
        """Where the encoder is."""
        return torch.device(self.net_.device)

    def _takes_labels(self) -> bool:
        """Return whether ``y`` is looked at: by default it is not."""
        return False

    def _begin(self, X: ArrayLike, y: Any, written: Run | None = None) -> Rows:
        """Start from nothing: read ``X``, look for checkpoints, draw first weights."""
        forget(self)
        with forgetting(self):
            self._entropy = agree_on_seed(self.device, draw_seed(self.random_state))
            rows = self._read(X, at_least=2, hold=True, reset=True)
            if self._takes_labels():
                rows.labels, self.classes_ = read_labels(y, rows, type(self).__name__)
            with rows:
                if written is not None:
                    epochs, seed = (
                        count_epochs(self, rows, solvable=self._is_solvable()),
                        self._entropy,
                    )
                    apart = getattr(self, "_is_clone", False)
                    self._entropy = written.start(self, rows, epochs, seed, apart=apart)
                parts = self._make_encoder, self._make_objective, self._auto_view
                self.net_, setting = build_net(self, rows, self._entropy, *parts)
            self._built = describe_build(self.get_params(deep=False), setting)
            self._layer = self.output
            self._n_features_out = layer_of(setting.sizes, self._layer)[0].numel()
        return rows

    def _go_on(self, X: ArrayLike, y: Any) -> Rows:
        """Read ``X`` for more training of what there is."""
        check_unchanged(self, self._built["parameters"])
        rows = self._read(X, at_least=2, hold=True)
        if hasattr(self, "classes_"):
            rows.labels, _ = read_labels(y, rows, type(self).__name__, self.classes_)
        return rows

    def _plan(self, rows: Rows, *, going_on: bool, **how: Any) -> Plan:
        """Decide how to train."""
        epochs = count_epochs(self, rows, solvable=self._is_solvable())
        with nullcontext() if going_on else forgetting(self):
            solving = self._begins_solving(epochs, going_on=going_on)
        return Plan.of(self, epochs, solving=solving, **how)

    def _train(self, rows: Rows, plan: Plan, *, going_on: bool) -> None:
        """Train, and write down how it went."""
        with nullcontext() if going_on else forgetting(self):
            check_plan(self.net_, rows, plan, self._score_hint)
        try:
            with forgetting(self, unless=KeyboardInterrupt if going_on else ()):
                self.n_iter_ = run(self.net_, rows, plan, self._entropy)
        except KeyboardInterrupt:
            if going_on:
                self.n_iter_ = len(self.net_.history)
                self._write_history()
            raise
        self._write_history()
        warn_of_collapse(self.history_["spread"][self.n_iter_ - 1], type(self).__name__)

    def _write_history(self) -> None:
        """Return the net's books as plain lists."""
        self.history_ = columns_of(self.net_.history)
        self.loss_curve_ = self.history_["loss"]

    def _read(
        self, X: ArrayLike, *, at_least: int = 1, hold: bool = False, reset: bool = False
    ) -> Rows:
        """Check ``X`` and lay it out as rows of numbers."""
        device = find_device(self.device) if reset else self.device_
        source, shape = open_source(
            self, X, at_least=at_least, reset=reset, pin=device.type == "cuda"
        )
        if reset:
            encoder = ENCODERS.get(self.encoder) if isinstance(self.encoder, str) else self.encoder
            self._layout = find_layout(
                shape, self.image_shape, self.channel_axis, signals=takes_signals(encoder)
            )
            self.image_shape_ = self._layout.shape if self._layout.is_image else None
        elif len(shape) > 2:
            self._layout.check_same(shape[1:])
        return Rows(source, self._layout, device, hold=hold)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a trained encoder."""
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        """Return tags: features are float32, and images are accepted."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._takes_labels()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        return tags
