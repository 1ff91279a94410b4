"""What all transformers share: reading X, training an encoder, giving its features."""

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skdim.encoders import ENCODERS, LAYERS, Features, takes_signals
from skdim.estimators.fitting import (
    Plan,
    auto_epochs,
    build_net,
    check_plan,
    forget,
    forgetting,
    run,
    warn_of_collapse,
)
from skdim.estimators.labels import read_labels
from skdim.estimators.parameters import Rule, check_parameters
from skdim.estimators.parts import find_device
from skdim.estimators.reading import open_source
from skdim.inference import encode_rows, layer_of
from skdim.inputs import Rows, find_layout
from skdim.objectives import AbstractObjective
from skdim.training import agree_on_seed

__all__ = ["AbstractTransformer"]

SCORING_SEED = 0


class AbstractTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """Train an encoder by an objective, and give its features.

    A subclass is a constructor, the rules of its parameters, and its objective.
    """

    @abstractmethod
    def _rules(self) -> dict[str, Rule]:
        """Say what each parameter may be."""

    @abstractmethod
    def _make_objective(
        self, sizes: Features, looks: tuple[tuple[int, int], ...]
    ) -> AbstractObjective:
        """Build what the encoder is trained with.

        Parameters
        ----------
        sizes : Features
            Features of two samples.
        looks : tuple of (int, int)
            Which look's code meets which look's local features.
        """

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
        """
        check_parameters(self, self._rules())
        going_on = self.warm_start and self.__sklearn_is_fitted__()
        rows = self._go_on(X, y) if going_on else self._begin(X, y)
        epochs = self.max_epochs
        if epochs == "auto":
            epochs = auto_epochs(len(rows))
        with rows:
            self._train(rows, Plan.of(self, epochs), going_on=going_on)
        if not self.warm_start:
            self.net_.drop_optimizer()
        return self

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train for one pass over ``X``, at a constant learning rate.

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
            self._train(rows, Plan.of(self, 1, one_pass=True), going_on=going_on)
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

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Bound the information between the code and the local (else the whole last) map.

        Weights are left out, so that scores can be compared over weights. They depend on the
        bound, the negatives and ``batch_size``, and can only be compared where these are equal.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            At least two samples, as in ``transform``.
        y : Ignored
            Present for consistency with the scikit-learn API.

        Returns
        -------
        float
            The bound on samples as they are, without a view: in nats for the bounds "dv", "kl"
            and "infonce", else in the units of its divergence.

        Raises
        ------
        ValueError
            If neither the local nor the global term was trained.
        """
        check_is_fitted(self)
        with self._read(X, at_least=2) as rows:
            score = self.net_.score_rows(rows, SCORING_SEED)
        if score is None:
            raise ValueError(
                f"This {type(self).__name__} has no score: it was trained without a term that "
                "measures information. Give local_weight or global_weight a value above 0."
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
        """Say whether ``y`` is looked at: by default it is not."""
        return False

    def _begin(self, X: ArrayLike, y: Any) -> Rows:
        """Start from nothing: read ``X``, draw first weights."""
        forget(self)
        with forgetting(self):
            # scikit-learn reads None as numpy's global state, which fitting would move.
            random_state = (
                np.random.RandomState()
                if self.random_state is None
                else check_random_state(self.random_state)
            )
            seed = int(random_state.randint(np.iinfo(np.int32).max))
            self._entropy = agree_on_seed(self.device, seed)
            rows = self._read(X, at_least=2, hold=True, reset=True)
            if self._takes_labels():
                rows.labels, self.classes_ = read_labels(y, rows, type(self).__name__)
            with rows:
                self.net_, sizes = build_net(self, rows, self._entropy, self._make_objective)
            self._layer = self.output
            self._n_features_out = layer_of(sizes, self._layer)[0].numel()
        return rows

    def _go_on(self, X: ArrayLike, y: Any) -> Rows:
        """Read ``X`` for more training of what there is."""
        rows = self._read(X, at_least=2, hold=True)
        if hasattr(self, "classes_"):
            rows.labels, _ = read_labels(y, rows, type(self).__name__, self.classes_)
        return rows

    def _train(self, rows: Rows, plan: Plan, *, going_on: bool) -> None:
        """Train, and write down how it went."""
        with nullcontext() if going_on else forgetting(self):
            check_plan(self.net_, rows, plan)
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
        """Give the net's books as plain lists."""
        history = self.net_.history
        names = [name for name, value in history[-1].items() if isinstance(value, float)]
        self.history_ = {name: [epoch.get(name, np.nan) for epoch in history] for name in names}
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
        """Tell scikit-learn that features are float32 and images are welcome."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._takes_labels()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        return tags
