"""A plain autoencoder."""

from os import PathLike
from typing import Any

from skdim.decoders import make_decoder
from skdim.estimators.base import AbstractTransformer
from skdim.objectives import AbstractObjective, Reconstruction, Setting

__all__ = ["AutoencoderTransformer"]


class AutoencoderTransformer(AbstractTransformer):
    """Learn representations by an autoencoder: the sample is decoded from its code.

    The decoder mirrors the encoder of such samples (transposed convolutions for images and
    signals, a multilayer perceptron for vectors) and is thrown away. Samples are standardised
    channel by channel, and what is minimised is the mean squared error of a number.

    Parameters
    ----------
    n_components : int, default=64
        Size of the code.
    image_shape, channel_axis
        How ``X`` is read.
    encoder : str, Module or callable, default="auto"
        What is trained and kept.
    output : {"code", "hidden", "conv", "local"}, default="code"
        Layer that ``transform`` gives; maps are flattened. What is decoded is the code.
    view : {"auto", "augment", "occlude"}, None or callable, default=None
        What is done to samples before they are encoded. What is decoded to is the sample as it was
        given: with a view this is a denoising autoencoder, and the codes of all looks are decoded.
    max_epochs, batch_size, learning_rate, optimizer, schedule
        How long and how it is trained.
    validation_fraction, early_stopping, n_iter_no_change, tol
        What is held out is scored as ``score`` does it.
    warm_start, random_state, device, precision, compile, callbacks, verbose, checkpoint_dir, \
checkpoint_every
        As in :class:`DeepInfoMaxTransformer`, like all of the above that is not explained here.

    Attributes
    ----------
    net_, encoder_, n_features_in_, feature_names_in_, image_shape_, n_iter_, history_, \
loss_curve_, device_
        As in :class:`DeepInfoMaxTransformer`. The term is ``reconstruction``, the mean squared
        error of a number of the standardised samples: 1 where only the mean of each channel is
        known.

    Notes
    -----
    ``score`` is minus the mean squared error of a number on standardised samples.

    See Also
    --------
    DeepInfoMaxTransformer : Compares codes with local features and decodes nothing.
    sklearn.decomposition.PCA : The autoencoder whose two networks are linear.

    References
    ----------
    Hinton and Salakhutdinov (2006). Reducing the dimensionality of data with neural networks.
    Science 313. Vincent et al. (2008). Extracting and composing robust features with denoising
    autoencoders. ICML (for views).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import AutoencoderTransformer
    >>> images = load_digits().images[:300]
    >>> AutoencoderTransformer(16, max_epochs=2, random_state=0).fit_transform(images).shape
    (300, 16)
    """

    def __init__(
        self,
        n_components: int = 64,
        *,
        image_shape: tuple[int, ...] | None = None,
        channel_axis: int | None = None,
        encoder: Any = "auto",
        output: str = "code",
        view: Any = None,
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
        super().__init__(
            n_components,
            image_shape=image_shape,
            channel_axis=channel_axis,
            encoder=encoder,
            output=output,
            view=view,
            max_epochs=max_epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            schedule=schedule,
            validation_fraction=validation_fraction,
            early_stopping=early_stopping,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            random_state=random_state,
            device=device,
            precision=precision,
            compile=compile,
            callbacks=callbacks,
            verbose=verbose,
            checkpoint_dir=checkpoint_dir,
            checkpoint_every=checkpoint_every,
        )

    def _make_objective(self, setting: Setting) -> AbstractObjective:
        decoder = make_decoder(setting.shape, setting.sizes.code.shape[1])
        return Reconstruction(decoder, setting.standardise)
