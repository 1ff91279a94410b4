"""NAT: codes that each go to a place of their own on the sphere."""

from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from skdim.estimators.base import AbstractTransformer
from skdim.inputs import Rows
from skdim.objectives import AbstractObjective, NoiseAsTargets, Setting

__all__ = ["NATTransformer"]


def offered(transformer: Any) -> bool:
    """Return False, whatever the transformer: points belong to the rows of the fitted set."""
    return False


class NATTransformer(AbstractTransformer):
    """Learn representations by noise as targets (NAT).

    As many points as there are samples are drawn on the sphere. The encoder brings each sample's
    code to a point; which sample has which is dealt out anew in each batch, so that codes and their
    points are as near as can be. Codes so come to fill the sphere evenly, and near ones are alike.
    A baseline of the Deep InfoMax paper.

    There is no ``partial_fit``, since a point belongs to a row of the fitted set; and no ``score``,
    since other samples have none.

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
    view : {"auto", "augment", "occlude"}, None or callable, default="auto"
        "auto" looks twice at images, as in :class:`DeepInfoMaxTransformer`; all looks go to the one
        point of their sample. None takes samples as they are.
    max_epochs, batch_size, learning_rate, optimizer, schedule
        How long and how it is trained.
    validation_fraction, early_stopping, n_iter_no_change, tol
        Nothing can be held out, as there is no score.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights and the points of the last one, for the same rows
        in the same order.
    random_state, device, precision, compile, callbacks, verbose, checkpoint_dir, \
checkpoint_every
        As in :class:`DeepInfoMaxTransformer`, like all of the above that is not explained here.

    Attributes
    ----------
    net_, encoder_, n_features_in_, feature_names_in_, image_shape_, n_iter_, history_, \
loss_curve_, device_
        As in :class:`DeepInfoMaxTransformer`.
        The term is ``targets``: half the mean squared distance of codes to their points, on the
        sphere.

    References
    ----------
    Bojanowski and Joulin (2017). Unsupervised learning by predicting noise. ICML.
    arXiv:1704.05310.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import NATTransformer
    >>> images = load_digits().images[:300]
    >>> NATTransformer(16, max_epochs=2, random_state=0).fit_transform(images).shape
    (300, 16)
    """

    def _make_objective(self, setting: Setting) -> AbstractObjective:
        return NoiseAsTargets(setting.n_samples, setting.sizes.code.shape[1])

    @available_if(offered)
    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Not offered: the rows of a chunk have no points."""
        raise NotImplementedError

    @available_if(offered)
    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Not offered: samples that were not trained on have no points."""
        raise NotImplementedError

    def _go_on(self, X: ArrayLike, y: Any) -> Rows:
        rows = super()._go_on(X, y)
        n_points = len(self.net_.criterion_.targets)
        if len(rows) != n_points:
            raise ValueError(
                f"X has {len(rows)} samples, but this NATTransformer was fitted on {n_points}, "
                "each of which has a point of its own. With warm_start=True, give the same rows "
                "again; for others, set warm_start=False."
            )
        return rows
