"""CPC: codes of what lies above, from which what lies below is told."""

import math
from os import PathLike
from typing import Any

from torch import nn

from skdim.encoders import ContextEncoder, Features
from skdim.estimators.base import AbstractTransformer
from skdim.estimators.parameters import Rule, integer
from skdim.estimators.parts import make_encoder, measure
from skdim.estimators.rules import COMMON_RULES
from skdim.inputs import Rows, Standardise
from skdim.objectives import AbstractObjective, ContextPrediction, Setting, unseen_rows

__all__ = ["CPCTransformer"]


class CPCTransformer(AbstractTransformer):
    """Learn representations by contrastive predictive coding (CPC).

    The rows of the local map are read from top to bottom. A context sums up what lies above each
    place, and is trained to tell the local features some rows below it from those of other places
    and other samples, by the InfoNCE bound. Only rows are predicted that share no pixel with what
    the context has seen. Groups of columns of vectors, and stretches of signals, are read in their
    order likewise: that order should mean something. A baseline of the Deep InfoMax paper.

    What is kept is a :class:`~skdim.encoders.ContextEncoder`: the code is the mean of the contexts'
    codes over the map, "conv" the map of contexts, "hidden" its mean, and "local" the local
    features below.

    Parameters
    ----------
    n_components : int, default=64
        Size of the code.
    image_shape, channel_axis
        How ``X`` is read.
    encoder : str, Module or callable, default="auto"
        What the contexts are computed from: its local features, each of which must see a small
        part of the sample. "auto" takes "patch_network" for images and "mlp" for vectors; also
        fit are "folded_resnet19", "folded_alexnet", "conv1d", or one's own.
    output : {"code", "hidden", "conv", "local"}, default="code"
        Layer that ``transform`` gives; maps are flattened.
    n_predicted : int, default=5
        Most rows that a context predicts: the first ones of which it has seen nothing.
    critic_units : int, default=256
        Size of the space in which contexts and local features are compared.
    view : {"auto", "augment", "occlude"}, None or callable, default="auto"
        "auto" looks twice at images, as in :class:`DeepInfoMaxTransformer`; each look is predicted
        from itself. None takes samples as they are.
    max_epochs, batch_size, learning_rate, optimizer, schedule
        How long and how it is trained.
    validation_fraction, early_stopping, n_iter_no_change, tol
        What is held out is scored as ``score`` does it: by the InfoNCE bound, in nats.
    warm_start, random_state, device, precision, compile, callbacks, verbose, checkpoint_dir, \
checkpoint_every
        As in :class:`DeepInfoMaxTransformer`, like all of the above that is not explained here.

    Attributes
    ----------
    net_, encoder_, n_features_in_, feature_names_in_, image_shape_, n_iter_, history_, \
loss_curve_, device_
        As in :class:`DeepInfoMaxTransformer`.
        The term is ``prediction``: minus the bound.

    See Also
    --------
    DeepInfoMaxTransformer : Tells all local features from the code, whatever their order.

    References
    ----------
    van den Oord, Li and Vinyals (2018). Representation learning with contrastive predictive
    coding. arXiv:1807.03748.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import CPCTransformer
    >>> images = load_digits().images[:300]
    >>> CPCTransformer(16, max_epochs=2, random_state=0).fit_transform(images).shape
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
        n_predicted: int = 5,
        critic_units: int = 256,
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
        self.n_predicted = n_predicted
        self.critic_units = critic_units

    def _rules(self) -> dict[str, Rule]:
        return RULES

    def _make_encoder(self, standardise: Standardise, rows: Rows) -> tuple[nn.Sequential, Features]:
        module, sizes = make_encoder(
            self._chosen_encoder(rows.layout), self.n_components, standardise, rows
        )
        context = ContextEncoder(module[1], tuple(sizes.local.shape[1:]), self.n_components)
        whole = nn.Sequential(standardise, context).to(rows.device)
        return whole, measure(whole, rows, "ContextEncoder")

    def _make_objective(self, setting: Setting) -> AbstractObjective:
        rows = unseen_rows(setting.encoder, setting.shape, most=self.n_predicted)
        if not rows:
            n_rows, n_features = setting.sizes.local.shape[2], math.prod(setting.shape)
            raise ValueError(
                f"there is nothing to predict: the samples have {n_features} feature(s), and the "
                f"encoder's local map has {n_rows} row(s), none of which is free of all that the "
                "rows before it have seen. Take an encoder whose local features see small parts of "
                "a sample, such as 'patch_network' or 'folded_resnet19' for images, 'conv1d' for "
                "signals and 'mlp' for vectors of two features or more."
            )
        return ContextPrediction(
            rows,
            setting.sizes.code.shape[1],
            setting.sizes.local.shape[1],
            units=self.critic_units,
        )


RULES = COMMON_RULES | {"n_predicted": integer(1), "critic_units": integer(1)}
