"""A classifier for few labels, on the representation of all samples."""

import copy
import os
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skdim.estimators.deep_infomax import DeepInfoMaxTransformer
from skdim.estimators.finetuning import FineTuner, best_epoch
from skdim.estimators.fitting import forgetting
from skdim.estimators.heads import (
    HEAD,
    HEAD_RULES,
    Head,
    Unlabelled,
    choose_head,
    feature_statistics,
    fit_head,
    head_contents,
    stratified_split,
    thin_out,
)
from skdim.estimators.labels import count_rows, read_labels, take_rows
from skdim.estimators.state import file_contents
from skdim.estimators.transformer import EncoderTransformer
from skdim.estimators.validation import NestedParametersMixin
from skdim.parameters import check_parameters
from skdim.random import draw_seed
from skdim.saving import LayerOutput, export, to_bytes, write_atomically

TUNED = " then labels"  # Suffix of ``solver_`` of a fine-tuned transformer.
LABELS_HINT = "Without labels, fit a DeepInfoMaxTransformer"


@dataclass(eq=False, repr=False)
class DeepInfoMaxClassifier(ClassifierMixin, NestedParametersMixin, BaseEstimator):
    """Classify samples of which few have labels.

    The representation is learnt from all rows. A logistic regression of its standardised features
    is fitted on the labelled rows, and by self-training on the others, which also uses the labels
    of their neighbours. With ``fine_tune``, the encoder is then trained on the labels as well.

    Parameters
    ----------
    transformer : EncoderTransformer or FrozenEstimator, default=None
        The representation, with any objective; it is cloned. None is
        ``DeepInfoMaxTransformer(output="hidden")``. A ``FrozenEstimator`` of a fitted transformer
        is not fitted again; see :meth:`from_transformer`.
    C : float or "auto", default="auto"
        Inverse strength of the penalty of the logistic regression. "auto" is chosen by five-fold
        cross-validation of the labelled rows; at least 0.03 where the rows of self-training have
        the larger weight.
    self_training : bool or "auto", default="auto"
        Whether rows without a label are used, with their estimated probabilities. "auto" is True
        unless the accuracy in cross-validation is lower, by more than one standard error.
    fine_tune : bool, default=False
        Whether to train the encoder on the labels. It does not change if the accuracy on held-out
        labels does not increase by more than its standard error.
    max_epochs : int, default=30
        Maximum number of epochs of fine-tuning.
    learning_rate : float, default=1e-3
        Learning rate of the head in fine-tuning; see ``layer_decay``.
    layer_decay : float, default=0.5
        Factor of the learning rate from one layer of the encoder to the one below it.
    batch_size : int, default=64
        Maximum number of samples in a batch of fine-tuning.
    validation_fraction : float, default=0.2
        Fraction of the labelled rows that is held out while the number of epochs is chosen.
    n_iter_no_change : int, default=5
        Epochs without a higher accuracy after which fine-tuning stops.
    random_state : int, RandomState or None, default=None
        Seed of all random draws, including those of the transformer if that is None.

    Attributes
    ----------
    transformer_ : EncoderTransformer
        The fitted representation; if fine-tuned, with the trained encoder.
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features_out), float32
        Weights of the features that ``transformer_.transform`` returns.
    intercept_ : ndarray of shape (n_classes,), float32
    C_ : float
    self_training_ : bool
        The values that were chosen.
    validation_scores_ : list of float
        Accuracy on the held-out labels: without fine-tuning, and after each epoch.
    n_iter_ : int
        Epochs of fine-tuning; 0 if the encoder did not change.
    n_features_in_, feature_names_in_
        Those of ``transformer_``.

    See Also
    --------
    DeepInfoMaxTransformer : The representation alone.
    sklearn.semi_supervised.SelfTrainingClassifier : Self-training with labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skdim import DeepInfoMaxClassifier
    >>> digits = load_digits()
    >>> images, labels = digits.images[:300], digits.target[:300]
    >>> y = np.where(np.arange(300) < 50, labels, -1)
    >>> classifier = DeepInfoMaxClassifier(random_state=0).fit(images, y)
    >>> classifier.score(images[50:], labels[50:]) > 0.85
    True
    """

    transformer: EncoderTransformer | FrozenEstimator | None = None
    _: KW_ONLY
    C: float | str = "auto"
    self_training: bool | str = "auto"
    fine_tune: bool = False
    max_epochs: int = 30
    learning_rate: float = 1e-3
    layer_decay: float = 0.5
    batch_size: int = 64
    validation_fraction: float = 0.2
    n_iter_no_change: int = 5
    random_state: int | np.random.RandomState | None = None

    @classmethod
    def from_transformer(cls, transformer: EncoderTransformer, **parameters: Any) -> Self:
        """Return a classifier with a fitted transformer, which ``fit`` does not fit again.

        Parameters
        ----------
        transformer : EncoderTransformer
            A fitted transformer. It is not copied, and not changed.
        **parameters : Any
            Other parameters of the classifier.

        Returns
        -------
        DeepInfoMaxClassifier
            A classifier that is not fitted; ``clone`` keeps the fitted transformer.
        """
        check_is_fitted(transformer)
        return cls(FrozenEstimator(transformer), **parameters)

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the representation on all rows, and the classifier on the labelled ones.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            As in ``fit`` of the transformer.
        y : array-like of shape (n,)
            Classes of any type; -1 for rows without a label.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter, ``X`` or ``y`` is invalid, or if there are fewer than two classes.
        """
        check_parameters(self, HEAD_RULES)
        with forgetting(self):
            self._fit(X, y, draw_seed(self.random_state))
        return self

    def _fit(self, X: ArrayLike, y: ArrayLike, seed: int) -> None:
        """Fit the transformer and the head, and fine-tune both."""
        cpu, name = torch.device("cpu"), type(self).__name__
        classes, self.classes_ = read_labels(y, count_rows(X), cpu, name, LABELS_HINT)
        self.transformer_ = self._fit_transformer(X, y, seed)
        known, unknown = np.flatnonzero(classes >= 0), thin_out(np.flatnonzero(classes < 0))
        features, codes = self.transformer_.encode_layers(
            take_rows(X, np.concatenate([known, unknown])), self.transformer_.output_, "code"
        )
        mean, scale = feature_statistics(features.flatten(1))
        x, others = ((features.flatten(1) - mean) / scale).tensor_split([len(known)])
        unlabelled = None
        if self.self_training and len(unknown):
            unlabelled = Unlabelled.of(others, codes.flatten(1))
        y, n_classes = classes[known].to(x.device), len(self.classes_)
        self.C_, self.self_training_ = choose_head(
            x,
            y,
            n_classes,
            strength=None if self.C == "auto" else float(self.C),
            self_training=None if self.self_training == "auto" else bool(self.self_training),
            unlabelled=unlabelled,
            seed=seed,
        )
        used = unlabelled if self.self_training_ else None
        fit = partial(fit_head, x, n_classes=n_classes, strength=self.C_, unlabelled=used)
        head = fit(y)
        self.validation_scores_: list[float] = []
        self.n_iter_ = 0
        if self.fine_tune:
            samples = self.transformer_.read_samples(take_rows(X, known))
            head = self._fine_tune(head, samples, y, fit, (mean, scale), seed)
        weight = head.weight / scale
        self.coef_ = weight.cpu().numpy()
        self.intercept_ = (head.bias - weight @ mean).cpu().numpy()

    def _fit_transformer(self, X: ArrayLike, y: ArrayLike, seed: int) -> EncoderTransformer:
        """Return the fitted transformer."""
        if isinstance(self.transformer, FrozenEstimator):
            fitted: EncoderTransformer = self.transformer.estimator
            check_is_fitted(fitted)
            return fitted
        if self.transformer is None:
            return DeepInfoMaxTransformer(output="hidden", random_state=seed).fit(X, y)
        return clone(self.transformer).fit(X, y)

    def _fine_tune(
        self,
        head: Head,
        x: Tensor,
        y: Tensor,
        fit: Callable[[Tensor], Head],
        statistics: tuple[Tensor, Tensor],
        seed: int,
    ) -> Head:
        """Train the encoder if that helps on held-out labels, and return the head."""
        tuner = FineTuner(
            self.transformer_,
            *statistics,
            learning_rate=float(self.learning_rate),
            decay=float(self.layer_decay),
            batch_size=self.batch_size,
            seed=seed,
        )
        train, held_out = stratified_split(y, self.validation_fraction, seed)
        scores = self.validation_scores_ = tuner.search(
            fit(y.index_fill(0, held_out, -1)),
            (x[train], y[train]),
            (x[held_out], y[held_out]),
            self.max_epochs,
            self.n_iter_no_change,
        )
        self.n_iter_ = best_epoch(scores, len(held_out))
        if self.n_iter_:
            encoder, head = tuner.train(head, x, y, self.n_iter_)
            self.transformer_ = copy.deepcopy(self.transformer_)
            self.transformer_.encoder_.load_state_dict(encoder.state_dict())
            self.transformer_.solver_ += TUNED
        return head

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Compute the logits of samples.

        Parameters
        ----------
        X : array-like, Dataset or Stream

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
            For two classes, the logit of the second one minus that of the first.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Estimate the probabilities of the classes.

        Parameters
        ----------
        X : array-like, Dataset or Stream

        Returns
        -------
        ndarray of shape (n, n_classes)
            In the order of ``classes_``.
        """
        probabilities: NDArray[np.float32] = softmax(self._logits(X), axis=1)
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable classes.

        Parameters
        ----------
        X : array-like, Dataset or Stream

        Returns
        -------
        ndarray of shape (n,)
        """
        logits = self._logits(X)
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : array-like, Dataset or Stream
        y : array-like of shape (n,)
            True classes; -1 is never predicted.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        return float(super().score(X, y, sample_weight))

    def _logits(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the logits (n, n_classes)."""
        check_is_fitted(self)
        return self.transformer_.transform(X) @ self.coef_.T + self.intercept_

    @property
    def n_features_in_(self) -> int:
        """Number of values in a sample."""
        return int(self.transformer_.n_features_in_)

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the columns, if ``X`` was a table with names."""
        return self.transformer_.feature_names_in_

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write this fitted classifier to one file, which :func:`skdim.load` reads.

        The file is that of ``transformer_`` with the head. A loaded classifier has its transformer
        as a ``FrozenEstimator``: ``fit`` does not fit it again.

        Parameters
        ----------
        path : path
            Conventionally ``NAME.skdim``.

        Raises
        ------
        ValueError, OSError
            As in ``save`` of the transformer.
        """
        check_is_fitted(self)
        header, weights = file_contents(self.transformer_)
        head, arrays = head_contents(self)
        write_atomically(path, to_bytes({**header, HEAD: head}, weights | arrays))

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write ``predict_proba`` as an ONNX model, for other runtimes.

        Its output ``probabilities`` has the shape (n, n_classes); otherwise it is as in ``to_onnx``
        of the transformer.

        Parameters
        ----------
        path : path
            Conventionally ``NAME.onnx``.

        Raises
        ------
        ImportError, ValueError, OSError
            As in ``to_onnx`` of the transformer.
        """
        check_is_fitted(self)
        head = nn.Linear(self.coef_.shape[1], len(self.classes_))
        weight, bias = torch.from_numpy(self.coef_), torch.from_numpy(self.intercept_)
        head.load_state_dict({"weight": weight, "bias": bias})
        features = LayerOutput(self.transformer_.encoder_, self.transformer_.output_)
        model = nn.Sequential(features, head, nn.Softmax(dim=1))
        export(model, self.transformer_.sample_shape_, path, output="probabilities")

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a head."""
        return hasattr(self, "coef_")

    def __sklearn_tags__(self) -> Tags:
        """Return the tags: images are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
