"""BiGAN: an encoder that is the inverse of a generator, by a game of three."""

from os import PathLike
from typing import Any

from skdim.critics import JointDiscriminator
from skdim.decoders import make_decoder
from skdim.estimators.base import AbstractTransformer
from skdim.estimators.parameters import Rule, any_of, choice, instance, real
from skdim.estimators.rules import COMMON_RULES
from skdim.objectives import AbstractObjective, BidirectionalGAN, Setting
from skdim.priors import PRIORS, Prior

__all__ = ["BiGANTransformer"]


class BiGANTransformer(AbstractTransformer):
    """Learn representations by a bidirectional generative adversarial network (BiGAN).

    An encoder makes codes of samples, a generator makes samples of codes drawn from a prior, and a
    discriminator tells pairs of the one kind from pairs of the other. The two learn to mislead it,
    and where they do, the encoder is the inverse of the generator. Generator and discriminator are
    thrown away. A baseline of the Deep InfoMax paper.

    Parameters
    ----------
    n_components : int, default=64
        Size of the code.
    image_shape, channel_axis
        How ``X`` is read.
    encoder : str, Module or callable, default="auto"
        What is trained and kept.
    output : {"code", "hidden", "conv", "local"}, default="code"
        Layer that ``transform`` gives; maps are flattened.
    prior : {"uniform", "normal", "sphere"} or Prior, default="normal"
        What the generator draws from. Codes are squashed into its range before they are judged, not
        in what ``transform`` gives. A discriminator or a penalty of the prior's own would judge
        codes alone, and is refused.
    gradient_penalty : float, default=1.0
        Weight of half the mean squared length of the discriminator's gradient in the samples with
        their codes; 0 computes none.
    view : {"auto", "augment", "occlude"}, None or callable, default=None
        None, since samples are made up as they are. With a view, the code of each look is paired
        with the sample as it is.
    max_epochs, batch_size, learning_rate, optimizer, schedule
        How long and how it is trained.
    validation_fraction, early_stopping, n_iter_no_change, tol
        What is held out is scored as ``score`` does it: by minus the mean squared error of what
        the generator makes of the codes, on standardised samples.
    warm_start, random_state, device, precision, compile, callbacks, verbose, checkpoint_dir, \
checkpoint_every
        As in :class:`DeepInfoMaxTransformer`, like all of the above that is not explained here.

    Attributes
    ----------
    net_, encoder_, n_features_in_, feature_names_in_, image_shape_, n_iter_, history_, \
loss_curve_, device_
        As in :class:`DeepInfoMaxTransformer`.
        The terms are ``encoder``, ``generator`` and ``discriminator``, the last 2 ln 2 where it
        knows nothing. Their sum measures nothing.

    See Also
    --------
    DeepInfoMaxTransformer : Compares codes with local features and makes nothing up.

    References
    ----------
    Donahue, Krähenbühl and Darrell (2017). Adversarial feature learning. ICLR. arXiv:1605.09782.
    Dumoulin et al. (2017). Adversarially learned inference. ICLR. arXiv:1606.00704.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import BiGANTransformer
    >>> images = load_digits().images[:300]
    >>> BiGANTransformer(16, max_epochs=2, random_state=0).fit_transform(images).shape
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
        gradient_penalty: float = 1.0,
        view: Any = None,
        max_epochs: int | str = "auto",
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        optimizer: Any = "adam_gan",
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
        self.gradient_penalty = gradient_penalty

    def _rules(self) -> dict[str, Rule]:
        return RULES

    def _make_objective(self, setting: Setting) -> AbstractObjective:
        prior = PRIORS[self.prior] if isinstance(self.prior, str) else self.prior
        if prior.discriminator is not None or prior.gradient_penalty:
            raise ValueError(
                "the prior of BiGANTransformer has a discriminator or a gradient_penalty of its "
                "own, which would judge codes without their samples. Give a prior without them, "
                "and the gradient_penalty to BiGANTransformer."
            )
        n_components = setting.sizes.code.shape[1]
        return BidirectionalGAN(
            prior,
            make_decoder(setting.shape, n_components),
            JointDiscriminator(setting.shape, n_components),
            setting.standardise,
            gradient_penalty=self.gradient_penalty,
        )


RULES = COMMON_RULES | {
    "prior": any_of(choice(PRIORS), instance("a skdim.priors.Prior", Prior)),
    "gradient_penalty": real(0),
}
