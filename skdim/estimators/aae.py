"""An adversarial autoencoder."""

from dataclasses import replace
from os import PathLike
from typing import Any

from skdim.decoders import make_decoder
from skdim.estimators.base import AbstractTransformer
from skdim.estimators.parameters import Rule, any_of, choice, instance, real
from skdim.estimators.rules import COMMON_RULES
from skdim.objectives import AbstractObjective, PriorMatching, Reconstruction, Setting, Together
from skdim.objectives.matching import make_discriminator
from skdim.priors import PRIORS, Prior

__all__ = ["AAETransformer"]

# Of 1,200 digits, after 8 epochs with 64 components, the discriminator's loss is 1.17 with it and
# 0.16 without, where chance is 1.39; codes reconstruct as well as those of a plain autoencoder.
PENALTY = 1.0


class AAETransformer(AbstractTransformer):
    """Learn representations by an adversarial autoencoder (AAE).

    The sample is decoded from its code, and codes are matched to a prior: a discriminator learns
    to tell them from draws, the encoder to mislead it. Decoder and discriminator are thrown away.
    A baseline of the Deep InfoMax paper.

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
    prior : {"uniform", "normal", "sphere"} or Prior, default="normal"
        What the codes should follow. Codes are squashed into its range before they are judged, not
        before they are decoded, and not in what ``transform`` gives. By its name, it has a gradient
        penalty of 1, without which the discriminator soon tells everything; a
        :class:`~skdim.priors.Prior` brings its own.
    prior_weight : float, default=0.1
        Weight of the encoder's term against the mean squared error of a number of the standardised
        sample. 0 leaves a plain autoencoder.
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
        As in :class:`DeepInfoMaxTransformer`. The terms are ``reconstruction``, the mean squared
        error of a number of the standardised samples, ``prior``, the encoder's weighted term, and
        ``discriminator``, 2 ln 2 where codes cannot be told from draws, its penalty included.

    Notes
    -----
    ``score`` is minus the mean squared error of a number on standardised samples: it does not see
    how well the prior is matched.

    See Also
    --------
    DeepInfoMaxTransformer : Its ``prior_weight`` has the same term.
    VAETransformer : Holds codes to a prior without an adversary.

    References
    ----------
    Makhzani, Shlens, Jaitly, Goodfellow and Frey (2016). Adversarial autoencoders. ICLR workshop.
    arXiv:1511.05644.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import AAETransformer
    >>> images = load_digits().images[:300]
    >>> AAETransformer(16, max_epochs=2, random_state=0).fit_transform(images).shape
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
        prior: str | Prior = "normal",
        prior_weight: float = 0.1,
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
        self.prior = prior
        self.prior_weight = prior_weight

    def _rules(self) -> dict[str, Rule]:
        return RULES

    def _make_objective(self, setting: Setting) -> AbstractObjective:
        n_components = setting.sizes.code.shape[1]
        reconstruction = Reconstruction(
            make_decoder(setting.shape, n_components), setting.standardise
        )
        if self.prior_weight == 0:
            return reconstruction
        prior = self.prior
        if isinstance(prior, str):
            prior = replace(PRIORS[prior], gradient_penalty=PENALTY)
        discriminator = make_discriminator(prior, n_components)
        matching = PriorMatching(prior, discriminator, weight=self.prior_weight)
        return Together([reconstruction, matching])


RULES = COMMON_RULES | {
    "prior": any_of(choice(PRIORS), instance("a skdim.priors.Prior", Prior)),
    "prior_weight": real(0),
}
