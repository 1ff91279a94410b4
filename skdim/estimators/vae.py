"""A variational autoencoder."""

import math
from os import PathLike
from typing import Any

from skdim.decoders import make_decoder
from skdim.estimators.base import AbstractTransformer
from skdim.estimators.parameters import Rule, real
from skdim.estimators.rules import COMMON_RULES
from skdim.objectives import AbstractObjective, Setting, Variational

__all__ = ["VAETransformer"]


class VAETransformer(AbstractTransformer):
    """Learn representations by a variational autoencoder (VAE, beta-VAE).

    The sample is decoded from a noisy code, whose mean is the code that ``transform`` gives. How
    noisy is learnt too, by a layer that is thrown away with the decoder. Codes cost what they tell
    beyond a standard normal prior, so that the bound of the log density of the samples is
    maximised. A baseline of the Deep InfoMax paper.

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
    beta : float, default=1.0
        Weight of that cost. Above 1, fewer coordinates of the code are used, and more independent
        ones; at 0 they cost nothing, and nearly a plain autoencoder remains. The decoder is a
        Gaussian of variance 0.1 around what it decodes, on standardised samples.
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
        As in :class:`DeepInfoMaxTransformer`. The terms are ``reconstruction`` and ``kl``, in nats
        a sample; the second is multiplied by ``beta``.

    Notes
    -----
    ``score`` is the bound of the log density of a standardised sample in nats, on average, with a
    ``beta`` of 1 whatever was trained with.

    See Also
    --------
    DeepInfoMaxTransformer : Compares codes with local features and decodes nothing.
    sklearn.decomposition.FactorAnalysis : A Gaussian model with a linear decoder.

    References
    ----------
    Kingma and Welling (2014). Auto-encoding variational Bayes. ICLR. arXiv:1312.6114. Higgins et
    al. (2017). beta-VAE: learning basic visual concepts with a constrained variational framework.
    ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import VAETransformer
    >>> images = load_digits().images[:300]
    >>> VAETransformer(16, max_epochs=2, random_state=0).fit_transform(images).shape
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
        beta: float = 1.0,
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
        self.beta = beta

    def _rules(self) -> dict[str, Rule]:
        return RULES

    def _make_objective(self, setting: Setting) -> AbstractObjective:
        decoder = make_decoder(setting.shape, setting.sizes.code.shape[1])
        return Variational(
            decoder,
            setting.standardise,
            setting.sizes,
            beta=self.beta,
            n_numbers=math.prod(setting.shape),
        )


RULES = COMMON_RULES | {"beta": real(0)}
