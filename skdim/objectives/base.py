"""Objectives: parameters that build criteria. Criteria: modules that map a batch to terms."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Self

import torch
from sklearn.base import BaseEstimator
from torch import Generator, Tensor, nn

from skdim.encoders import Features
from skdim.inputs import Layout
from skdim.parameters import Rule, check_parameters
from skdim.views import VIEWS, Identity, View


@dataclass(frozen=True)
class Setting:
    """Data that a criterion is built from, in addition to the parameters of its objective.

    Parameters
    ----------
    sizes : Features
        Features of two samples.
    looks : tuple of (int, int)
        Pairs ``(look of the code, look of the local features)`` that are compared.
    standardise : Module
        Maps samples as given to standardised ones; shared with the encoder.
    encoder : Module
        Maps standardised samples to features. The criterion must not keep it.
    shape : tuple of int
        Shape of one sample: ``(C, H, W)``, ``(C, L)`` or ``(d,)``.
    n_samples : int
        Number of training samples; every ``Batch.index`` is below it.
    n_classes : int, default=0
        Classes of the labels, where the objective takes labels.
    gradients : bool, default=True
        Whether the encoder is trained by gradients, and not by the closed form alone.
    """

    sizes: Features
    looks: tuple[tuple[int, int], ...]
    standardise: nn.Module
    encoder: nn.Module
    shape: tuple[int, ...]
    n_samples: int
    n_classes: int = 0
    gradients: bool = True


@dataclass(frozen=True)
class Defaults:
    """Values of parameters of a transformer that are "auto".

    Parameters
    ----------
    encoder : str
        A key of ``skdim.encoders.ENCODERS``.
    view : View
    optimizer : str, default="adam"
    """

    encoder: str
    view: View
    optimizer: str = "adam"


@dataclass(frozen=True)
class Batch:
    """Data of a batch that a criterion receives in addition to features.

    Parameters
    ----------
    x : Tensor of shape (n, *shape)
        The samples as given, before views and standardisation; the first look at each where
        several are given.
    index : Tensor of shape (n,)
        Number of each sample in the training set.
    y : Tensor of shape (n,)
        Class of each sample, -1 where unknown.
    generator : Generator
        Source of all random draws.
    notes : dict of str to Tensor of shape () or (2,)
        Metrics that criteria record, detached. The history holds a number as its mean over
        samples, and a pair (sum, count) as the ratio of both over the epoch.
    looks : Tensor of shape (n, n_looks, *shape) or None, default=None
        All looks at the samples where several are given; of one process, those of its share.
    """

    x: Tensor
    index: Tensor
    y: Tensor
    generator: Generator
    notes: dict[str, Tensor] = field(default_factory=dict)
    looks: Tensor | None = None


class AbstractCriterion(nn.Module, ABC):
    """Module that maps a batch to named terms; it is discarded after training.

    Attributes
    ----------
    n_summed : int, default=1
        Number of values of a sample that the terms sum over. The limit of a term, above which the
        training has diverged, is multiplied by it.
    scores_looks : bool, default=False
        Whether the score is computed from looks, and not from samples as they are.
    compares_samples : bool, default=False
        Whether the score of a sample depends on the number of others in its batch.
    weights_of_bounds : mapping of str to float, default={}
        Weights of the terms that are minus a weighted bound, which is 0 where nothing is learnt.
    """

    n_summed: int = 1
    scores_looks: bool = False
    compares_samples: bool = False
    weights_of_bounds: Mapping[str, float] = MappingProxyType({})

    @abstractmethod
    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Compute the named terms of a batch; the loss is their sum.

        Parameters
        ----------
        looks : sequence of Features
            Features of the same samples, one entry per look.
        batch : Batch

        Returns
        -------
        dict of str to Tensor of shape ()
            To be minimised.
        """

    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Score an encoder on samples as they are, for early stopping and ``score``.

        Parameters
        ----------
        features : Features
            Features of samples that may be new, in evaluation mode.
        batch : Batch

        Returns
        -------
        Tensor of shape () or None
            To be maximised, without weights; None, as by default, if there is no score.
        """
        return None

    def decode_codes(self, codes: Tensor) -> Tensor | None:
        """Decode codes (n, d) to standardised samples (n, *shape); None without a decoder."""
        return None

    def draw_codes(self, size: tuple[int, int], generator: Generator) -> Tensor | None:
        """Draw codes (n, d) from the prior, on the generator's device; None without a prior."""
        return None

    def members(self) -> list["AbstractCriterion"]:
        """Return the criteria that this one consists of: by default itself."""
        return [self]

    def score_looks(self, looks: Sequence[Features], batch: Batch) -> Tensor | None:
        """Score an encoder on looks: by default the ``score`` of the first one."""
        return self.score(looks[0], batch)


class AbstractObjective(BaseEstimator):  # type: ignore[misc]
    """Parameters of what an encoder is trained with, which build a criterion.

    A subclass stores its parameters in ``__init__``, as estimators of scikit-learn do, or declares
    them as fields of a dataclass with ``eq=False`` and ``repr=False``. It implements ``terms`` (and
    ``score``) if its loss has no weights of its own, else ``build``. It is passed to
    :class:`~skdim.EncoderTransformer` as ``objective``; its parameters are then set and searched as
    ``objective__NAME``.

    Attributes
    ----------
    rules : mapping of str to Rule
        Constraints of the parameters; those without one are not checked.
    has_score : bool, default=True
        Whether the criterion scores samples that it was not trained on. If not, transformers have
        no method ``score`` and hold no samples out.
    keeps_samples : bool, default=False
        Whether the criterion has a state for each sample of the training set. Then there is no
        ``partial_fit``, and a warm start needs the same samples.
    score_hint : str
        Advice in the error for a missing score.
    has_decoder, has_sampler : bool, default=False
        Whether the criterion has a decoder, and a prior of the codes that it decodes: transformers
        then have ``inverse_transform``, and ``sample``.
    augments_images : bool, default=True
        Whether there are random views of images by default.
    default_optimizer : str, default="adam"
    """

    rules: ClassVar[Mapping[str, Rule]] = {}
    has_score: ClassVar[bool] = True
    keeps_samples: ClassVar[bool] = False
    score_hint: ClassVar[str] = "Compare probes of its codes instead"
    has_decoder: ClassVar[bool] = False
    augments_images: ClassVar[bool] = True
    default_optimizer: ClassVar[str] = "adam"

    @property
    def has_sampler(self) -> bool:
        """Whether the criterion draws codes to decode: by default it does not."""
        return False

    def build(self, setting: Setting) -> AbstractCriterion:
        """Build the criterion; no data is read.

        Parameters
        ----------
        setting : Setting

        Returns
        -------
        AbstractCriterion
            A new module at every call; by default one without weights, which computes ``terms``
            and ``score`` of this objective.

        Raises
        ------
        ValueError
            If the objective cannot be used with the encoder or the data.
        """
        return WeightlessCriterion(self.copied())

    def terms(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Compute the named terms of a batch; see :meth:`AbstractCriterion.forward`."""
        raise NotImplementedError(f"{type(self).__name__} implements neither terms nor build.")

    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Score an encoder on samples as they are; see :meth:`AbstractCriterion.score`."""
        return None

    def copied(self) -> Self:
        """Return an independent objective with the same parameters."""
        return type(self)(**self.get_params(deep=False))

    def check(self) -> None:
        """Raise a ValueError for parameters that ``rules`` do not allow."""
        check_parameters(self, self.rules)

    @property
    def takes_labels(self) -> bool:
        """Whether ``y`` is used: by default it is not."""
        return False

    def without_closed_form(self) -> list[str] | None:
        """Return the parameters that have no closed form; None if the objective has none at all."""
        return None

    def defaults(self, layout: Layout, *, closed_form: bool) -> Defaults:
        """Return the values of parameters that are "auto".

        Parameters
        ----------
        layout : Layout
            Shape of the samples.
        closed_form : bool
            Whether the closed form is computed.

        Returns
        -------
        Defaults
            By default a convolutional network and, if ``augments_images``, two random views for
            images; else an MLP without views.
        """
        view = VIEWS["augment"] if layout.is_image and self.augments_images else Identity()
        encoder = "patch_network" if layout.is_image else "mlp"
        return Defaults(encoder, view, self.default_optimizer)

    def wrap(self, encoder: nn.Module, sizes: Features, n_components: int) -> nn.Module | None:
        """Return an encoder to train in place of the given one; None keeps it, as by default.

        Parameters
        ----------
        encoder : Module
            Maps standardised samples to features.
        sizes : Features
            Features of two samples.
        n_components : int
        """
        return None


class WeightlessCriterion(AbstractCriterion):
    """Compute the terms and the score of an objective that has no weights."""

    def __init__(self, objective: AbstractObjective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the objective."""
        return self.objective.terms(looks, batch)

    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Return the score of the objective."""
        return self.objective.score(features, batch)


def frozen(module: nn.Module, *args: Tensor) -> Any:
    """Evaluate a module without changing its parameters or statistics; return its result.

    Gradients flow to the arguments and not to the weights; buffers, such as running means, are
    not updated. So one optimizer trains two players at once, each against the other one frozen.

    Parameters
    ----------
    module : Module
    *args : Tensor
        Arguments of its ``forward``.
    """
    weights = {name: weight.detach() for name, weight in module.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    return torch.func.functional_call(module, weights | buffers, args)
