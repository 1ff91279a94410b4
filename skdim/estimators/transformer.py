"""An encoder trained by an objective, as a scikit-learn transformer."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor

from skdim.encoders import LAYERS, UserEncoder
from skdim.estimators.fitting import forgetting
from skdim.estimators.state import PersistentLearner
from skdim.estimators.validation import (
    COMMON_RULES,
    NestedParametersMixin,
    open_looks,
    sample_numbers,
)
from skdim.inference import chunk_size, encode_rows, features_of, pad_rows
from skdim.inputs import Conversion
from skdim.parameters import check_positive, shown
from skdim.random import draw_seed, seeded
from skdim.training import Checkpoints
from skdim.training.callbacks import CallbackSupport, reported, reports

SCORING_SEED = 0


class EncoderTransformer(
    CallbackSupport,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    NestedParametersMixin,
    PersistentLearner,
):
    """Train an encoder by an objective, and transform samples to its features.

    Parameters
    ----------
    n_components : int, default=64
        Size of the code.
    objective : AbstractObjective, default=None
        What the encoder is trained with: one of :mod:`skdim.objectives`, such as
        ``VAE(beta=4.0)``, or one of your own; see :doc:`/guide/own_objective`. None is
        ``InfoMax()``. Its parameters can be set and searched as ``objective__NAME``.
    view : str, callable or None, default="auto"
        "auto" is the objective's choice: none for :class:`~skdim.objectives.Autoencoder`,
        ``VAE``, ``AAE`` and ``BiGAN``, random views of images for the others.
    optimizer : str or callable, default="auto"
        "auto" is the objective's choice: "adam_gan" for ``BiGAN``, "adam" for the others.
    image_shape, channel_axis, encoder, output, max_epochs, batch_size, learning_rate, schedule, \
validation_fraction, early_stopping, n_iter_no_change, tol, warm_start, random_state, device, \
precision, compile, callbacks, verbose, checkpoint_dir, checkpoint_every
        As in :class:`DeepInfoMaxTransformer`.

    Attributes
    ----------
    net_, encoder_, n_features_in_, feature_names_in_, image_shape_, solver_, n_iter_, history_, \
loss_curve_, device_, classes_, canonical_correlations_, directions_
        As in :class:`DeepInfoMaxTransformer`. ``history_`` has the terms of the objective.

    See Also
    --------
    DeepInfoMaxTransformer : The same with the parameters of ``InfoMax`` among its own.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import EncoderTransformer
    >>> from skdim.objectives import VAE
    >>> images = load_digits().images[:300]
    >>> vae = EncoderTransformer(16, objective=VAE(beta=2.0), max_epochs=2, random_state=0)
    >>> vae.fit_transform(images).shape
    (300, 16)
    """

    @reports
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Train an encoder on ``X``.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, H, W), (n, C, H, W) or (n, H, W, C), or a \
                map-style Dataset of torch, or a Stream
            At least two samples; (n, C, L) for an encoder of signals. uint8 images stay uint8 until
            a batch is taken; other numbers are converted to float32, columns whose mean is large
            relative to their spread after standardisation in float64. An item of a data set is a
            sample, or a tuple that begins with one; :class:`~skdim.inputs.Stream` reads it by
            worker processes. Several looks at each sample, which are then compared with each other,
            are an array of images of shape (n, n_looks, C, H, W) or (n, n_looks, H, W, C), or a
            :class:`~skdim.inputs.PairedDataset`.
        y : array-like of shape (n,), default=None
            Ignored, unless there is a term for labels and its weight is above 0: then classes of
            any type, and -1 for rows without one.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter, ``X`` or ``y`` is invalid.
        FloatingPointError
            If the training diverges. The transformer is then unfitted, as it is after Ctrl-C
            unless ``warm_start`` continued an earlier training.
        RuntimeError
            If another training uses the ``checkpoint_dir``.
        """
        self._check()
        continues = self.warm_start and self.__sklearn_is_fitted__()
        with (
            nullcontext() if self.checkpoint_dir is None else Checkpoints.of(self) as checkpoints,
            nullcontext() if continues else forgetting(self),
        ):
            rows = self._continue(X, y) if continues else self._start(X, y, checkpoints)
            n_epochs = max(self._count_epochs(len(rows)), 1)
            with rows:
                reporting = reported(self, X, y, n_epochs)
                self._train(rows, reporting, checkpoints, continues=continues)
        if not self.warm_start:
            self.net_.drop_state()
        return self

    @available_if(lambda self: not self._get_objective().keeps_samples)
    def partial_fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Add ``X`` to the sums of the closed form; or train for one pass, at a constant rate.

        The first call sets the standardisation, the classes and the sizes of all layers; later ones
        keep them, the weights and the state of the optimizer. No samples are held out.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            As in ``fit``: as many samples as there are at a time, at least two.
        y : array-like of shape (n,), default=None
            As in ``fit``. Where it is used, the first call must have all classes; in later ones,
            all labels may be -1.

        Returns
        -------
        self : object
        """
        self._check()
        continues = self.__sklearn_is_fitted__()
        with nullcontext() if continues else forgetting(self):
            rows = self._continue(X, y) if continues else self._start(X, y)
            with rows:
                self._train(rows, continues=continues, one_pass=True)
        return self

    def fit_transform(
        self, X: ArrayLike, y: ArrayLike | None = None, **fit_params: Any
    ) -> NDArray[np.float32]:
        """Fit, and encode ``X``; raise an error before the fit for several looks at each sample."""
        open_looks(self, X, 1)
        features: NDArray[np.float32] = super().fit_transform(X, y, **fit_params)
        return features

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Encode ``X``.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            Samples of the fitted shape, flat or not. After a fit on an
            :class:`~skdim.inputs.ImageFolder`, also a path of an image or a folder, an image of
            Pillow, or a list or array of these, scaled to the size of the folder's images.

        Returns
        -------
        ndarray of shape (n, n_features_out), float32
            The layer named by ``output``, maps flattened. A row depends on its own sample only.
        """
        check_is_fitted(self)
        with self._read(X) as rows, self._guarded():
            return features_of(self.encoder_, rows, self._layer)

    def encode(self, X: ArrayLike, output: str | None = None) -> Tensor:
        """Encode ``X`` to a tensor on ``device_``, for torch users and for other layers.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            As in ``transform``.
        output : {"code", "hidden", "conv", "local"}, default=None
            Layer to return; None is the layer that ``transform`` returns.

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
        return self.encode_layers(X, self._layer if output is None else output)[0]

    def encode_layers(self, X: ArrayLike, *layers: str) -> list[Tensor]:
        """Encode ``X`` as :meth:`encode` does, to several layers at once."""
        check_is_fitted(self)
        for output in layers:
            if not COMMON_RULES["output"].holds(output):
                raise ValueError(
                    f"output={shown(output)} is not a layer. Allowed are {', '.join(LAYERS)}."
                )
        with self._read(X) as rows, self._guarded():
            parts = zip(*encode_rows(self.encoder_, rows, *layers), strict=True)
            return [torch.cat(part) for part in parts]

    def read_samples(self, X: ArrayLike, rows: ArrayLike | None = None) -> Tensor:
        """Return samples as the input of the encoder: in its layout, before standardisation.

        Columns and channels that float32 would blur, such as times in seconds since 1970, are
        standardised here, in float64.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            As in ``transform``.
        rows : array-like of shape (m,), default=None
            Numbers of the samples to return, from -n to n - 1; None returns all.

        Returns
        -------
        Tensor of shape (m, C, H, W), (m, C, L) or (m, d), uint8 or float32
            On ``device_``; an input of ``encoder_``.

        Raises
        ------
        TypeError
            If ``rows`` are not integers.
        IndexError
            If there is no such sample.
        """
        check_is_fitted(self)
        with self._read(X) as read:
            chosen = np.arange(len(read)) if rows is None else sample_numbers(rows, len(read))
            return read[torch.as_tensor(chosen, device=read.device)]

    @available_if(lambda self: self._get_objective().has_score)
    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """Return the score of the objective on ``X``; higher is better.

        Deep InfoMax in closed form: the information between looks, by the Gaussian critic, in nats.
        With gradients: the value of ``bound`` for the code and the local (else the whole last) map.
        It is a score: a bound on their information, in nats, for "dv" and "kl", and for "infonce"
        where the map has one location; with several, InfoNCE may exceed the information. Others are
        in the units of their divergence. For other objectives, see their documentation.

        Weights are not applied, so that scores can be compared over weights. They depend on the
        bound, the negatives and ``batch_size``, and can only be compared where these are equal.
        Samples are compared in batches of ``batch_size``, of which some overlap, so that each has
        the same number of negatives. With fewer samples than that, there are fewer negatives.

        Parameters
        ----------
        X : array-like, Dataset or Stream
            At least two samples, as in ``transform``; with as many looks at each as in ``fit``.
        y : Ignored
            Present for consistency with the scikit-learn API.

        Returns
        -------
        float
            Of samples without a view; in closed form, or where ``fit`` was given several looks, of
            looks at them.

        Raises
        ------
        ValueError
            If no trained term has a score, as for Deep InfoMax without the local and the global
            term.
        """
        check_is_fitted(self)
        with self._read(X, compare=True) as rows:
            score = self.net_.score_rows(rows, SCORING_SEED)
        if score is None:
            raise ValueError(
                f"This {type(self).__name__} has no score: it was trained without a term that "
                f"measures information. {self._get_objective().score_hint}."
            )
        return score

    @available_if(lambda self: self._get_objective().has_decoder)
    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Decode codes to samples.

        Only with an objective that has a decoder: :class:`~skdim.objectives.Autoencoder`, ``VAE``
        and ``AAE``, and ``BiGAN``, whose generator decodes.

        Parameters
        ----------
        X : array-like of shape (n, n_components)
            Codes, as ``transform`` returns them with ``output="code"``.

        Returns
        -------
        ndarray of shape (n, *shape)
            Samples in the units and the shape of those of ``X`` in ``fit``. Values are not clipped
            to the range of the data.

        Raises
        ------
        ValueError
            If ``output`` is not "code", ``X`` are not codes, or the objective was set after the
            fit.
        """
        check_is_fitted(self)
        if self.output_ != "code":
            raise ValueError(
                f"inverse_transform decodes codes, but output={self.output_!r}. Set output='code' "
                "and fit."
            )
        size = self._built.n_features_out("code")
        codes = check_array(X, dtype=np.float32, input_name="X")
        if codes.shape[1] != size:
            raise ValueError(f"X has {codes.shape[1]} columns, but codes have {size}.")
        return self._decode(torch.tensor(codes, device=self.device_))

    @available_if(lambda self: self._get_objective().has_sampler)
    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[Any]:
        """Draw new samples: codes from the prior, decoded.

        Only with ``VAE``, and with ``AAE`` and ``BiGAN`` where the prior is "normal" or "uniform".

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, d), (n_samples, H, W), ...
            As from ``inverse_transform``.

        Raises
        ------
        ValueError
            If ``n_samples`` is not an integer of at least 1.
        """
        check_is_fitted(self)
        check_positive(n_samples=n_samples)
        generator = Generator(device=self.device_).manual_seed(draw_seed(random_state))
        with torch.no_grad():
            size = (int(n_samples), self._built.n_features_out("code"))
            codes = self.net_.criterion_.draw_codes(size, generator)
        return self._decode(codes)

    @torch.no_grad()
    def _decode(self, codes: Tensor | None) -> NDArray[Any]:
        """Decode codes (n, d) chunk by chunk, and undo the standardisation."""
        standardise, decode = self.net_.module_[0], self.net_.criterion_.decode_codes
        size, parts = chunk_size(self.device_), []
        for chunk in () if codes is None else codes.split(size):
            whole = decode(pad_rows(chunk, size))
            if whole is not None:
                decoded = whole[: len(chunk)].float()
                parts.append((decoded * standardise.scale + standardise.mean).cpu())
        if not parts:
            raise ValueError(
                f"{type(self).__name__} was fitted with an objective that has no decoder, or draws "
                "no codes. Fit it again with the present one."
            )
        rows: NDArray[Any] = self._layout.restore(torch.cat(parts)).flatten(1).numpy()
        if self._conversion is not None:
            rows = Conversion.of(self._conversion, self._layout).undo(rows)
        return rows.reshape(len(rows), *self._given_shape)

    def _guarded(self) -> AbstractContextManager[None]:
        """Return a context that seeds and restores global generators if the encoder may draw."""
        own = any(isinstance(part, UserEncoder) for part in self.encoder_.modules())
        return seeded(SCORING_SEED, self.device_) if own else nullcontext()

    def __sklearn_tags__(self) -> Tags:
        """Return the tags: features are float32, and images are accepted."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._get_objective().takes_labels
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        return tags
