"""Objectives: parameters that build criteria; criteria: modules that map a batch to terms."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from torch import Generator, Tensor, nn

from skdim.encoders import Features
from skdim.inputs import Layout
from skdim.parameters import Rule, check_parameters
from skdim.views import VIEWS, Identity, View

__all__ = [
    "AbstractCriterion",
    "AbstractObjective",
    "Batch",
    "Defaults",
    "Setting",
    "Together",
    "frozen",
    "one_code",
]


@dataclass(frozen=True)
class Setting:
    """What a criterion is built from, beside the parameters of its objective.

    Parameters
    ----------
    sizes : Features
        Features of two samples.
    looks : tuple of (int, int)
        Which look's code meets which look's local features.
    standardise : Module
        Samples as given to the standardised ones that the encoder begins with; shared with it.
    encoder : Module
        Standardised samples to features: to be looked at, never kept.
    shape : tuple of int
        Of one sample: ``(C, H, W)``, ``(C, L)`` or ``(d,)``.
    n_samples : int
        Samples in the fitted set: each has its ``Batch.index`` below that.
    n_classes : int, default=0
        Classes of the labels, where the objective takes labels.
    gradients : bool, default=True
        Whether ``max_epochs`` asks for training by gradients, and not for the closed form alone.
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
    """What "auto" stands for in the parameters of a transformer.

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
    """What a criterion receives of a batch beside its features.

    Parameters
    ----------
    x : Tensor of shape (n, *shape)
        The samples as given, before views and standardisation.
    index : Tensor of shape (n,)
        Row of each sample in the fitted set.
    y : Tensor of shape (n,)
        Class of each sample, -1 where unknown.
    generator : Generator
        Where all random draws come from.
    notes : dict of str to Tensor of shape () or (2,)
        What criteria record beside their terms, detached: such as the accuracy of a task. It goes
        to the history: a number as its mean over samples; a sum and a count, of what is not known
        of every sample, as their ratio over the epoch.
    """

    x: Tensor
    index: Tensor
    y: Tensor
    generator: Generator
    notes: dict[str, Tensor] = field(default_factory=dict)


class AbstractCriterion(nn.Module, ABC):
    """Module that maps a batch to named terms; it is discarded after training.

    Attributes
    ----------
    n_summed : int
        Over how many numbers of a sample terms are sums, and not means: they may be larger by that
        factor before the loop takes a training for diverged. By default 1.
    scores_looks : bool
        Whether the score is of the looks of the view, and not of samples as they are. By default
        False.
    """

    n_summed: int = 1
    scores_looks: bool = False

    @abstractmethod
    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Map a batch to named terms; the loss is their sum.

        Parameters
        ----------
        looks : sequence of Features
            Features of the same samples, one entry a look.
        batch : Batch

        Returns
        -------
        dict of str to Tensor of shape ()
            To be minimised.
        """

    @abstractmethod
    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Score an encoder on samples as they are.

        Adversaries make the sum of the terms measure nothing, so that this is what early
        stopping and ``score`` look at.

        Parameters
        ----------
        features : Features
            Of samples that may be new, in evaluation mode.
        batch : Batch

        Returns
        -------
        Tensor of shape () or None
            To be maximised, without weights; None if this criterion measures nothing.
        """

    def members(self) -> list["AbstractCriterion"]:
        """Return the criteria that this one is made of: itself, if it is not several."""
        return [self]

    def score_looks(self, looks: Sequence[Features], batch: Batch) -> Tensor | None:
        """Score looks at samples; see ``score``, which is asked of the first look by default."""
        return self.score(looks[0], batch)


class AbstractObjective(BaseEstimator):  # type: ignore[misc]
    """Parameters of what an encoder is trained with, which build a criterion.

    A subclass stores its parameters in ``__init__``, as estimators of scikit-learn do. It
    implements ``terms`` (and ``score``) if its loss has no weights of its own, else ``build``. It
    is given to :class:`~skdim.EncoderTransformer` as ``objective``; its parameters are then set
    and searched as ``objective__NAME``.

    Attributes
    ----------
    rules : mapping of str to Rule
        Constraints of the parameters; those without one are not checked.
    has_score : bool
        Whether the criterion scores samples that it was not trained on. Transformers without a
        score have no method ``score`` and can hold nothing out. By default True.
    keeps_samples : bool
        Whether the criterion has a state for each sample of the fitted set. Then there is no
        ``partial_fit``, and a warm start needs the same samples. By default False.
    score_hint : str
        What the error for a missing score advises.
    """

    rules: ClassVar[Mapping[str, Rule]] = {}
    has_score: ClassVar[bool] = True
    keeps_samples: ClassVar[bool] = False
    score_hint: ClassVar[str] = "Compare probes of its codes instead"

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
        return WeightlessCriterion(self)

    def terms(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Map a batch to named terms; see :meth:`AbstractCriterion.forward`."""
        raise NotImplementedError(f"{type(self).__name__} implements neither terms nor build.")

    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Score an encoder on samples as they are; see :meth:`AbstractCriterion.score`."""
        return None

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
        """Return what "auto" stands for.

        Parameters
        ----------
        layout : Layout
            Shape of the samples.
        closed_form : bool
            Whether the closed form is computed.

        Returns
        -------
        Defaults
            By default a network of convolutions and two random views for images; an MLP and no
            view for all else.
        """
        if layout.is_image:
            return Defaults("patch_network", VIEWS["augment"])
        return Defaults("mlp", Identity())

    def wrap(self, encoder: nn.Module, sizes: Features, n_components: int) -> nn.Module | None:
        """Return an encoder to train in place of the given one; None, the default, keeps it.

        Parameters
        ----------
        encoder : Module
            Standardised samples to features.
        sizes : Features
            Features of two samples.
        n_components : int
        """
        return None


class WeightlessCriterion(AbstractCriterion):
    """Compute the terms and the score of an objective that has no weights.

    Parameters
    ----------
    objective : AbstractObjective
    """

    def __init__(self, objective: AbstractObjective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the objective."""
        return self.objective.terms(looks, batch)

    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Return the score of the objective."""
        return self.objective.score(features, batch)


class Together(AbstractCriterion):
    """Several criteria as one: the union of their terms.

    Parameters
    ----------
    objectives : sequence of AbstractCriterion
        Whose terms have different names.
    """

    def __init__(self, objectives: Sequence[AbstractCriterion]) -> None:
        super().__init__()
        self.objectives = nn.ModuleList(objectives)
        self.n_summed = max((objective.n_summed for objective in objectives), default=1)
        self.scores_looks = any(objective.scores_looks for objective in objectives)

    def __iter__(self) -> Iterator[AbstractCriterion]:
        """Yield the criteria in their order."""
        for objective in self.objectives:
            assert isinstance(objective, AbstractCriterion)
            yield objective

    def members(self) -> list[AbstractCriterion]:
        """Return the criteria in their order."""
        return list(self)

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Collect the terms of all criteria."""
        terms: dict[str, Tensor] = {}
        for objective in self:
            added = objective(looks, batch)
            if twice := terms.keys() & added.keys():
                raise ValueError(f"Two objectives have a term named {', '.join(sorted(twice))!r}.")
            terms |= added
        return terms

    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Return the score of the first criterion that has one."""
        for objective in self:
            score = objective.score(features, batch)
            if score is not None:
                return score
        return None

    def score_looks(self, looks: Sequence[Features], batch: Batch) -> Tensor | None:
        """Return the score of the first criterion that has one."""
        for objective in self:
            score = objective.score_looks(looks, batch)
            if score is not None:
                return score
        return None


def frozen(module: nn.Module, *args: Any) -> Any:
    """Evaluate a module without changing its parameters or statistics.

    Gradients flow through to the arguments, none reaches the weights, and buffers such as
    running means stay as they were. One optimizer can so train two players at once, each seeing
    the other frozen.

    Parameters
    ----------
    module : Module
    *args : Any
        Arguments of its ``forward``.

    Returns
    -------
    Any
        What ``module(*args)`` gives.
    """
    weights = {name: weight.detach() for name, weight in module.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    return torch.func.functional_call(module, weights | buffers, args)


def one_code(features: Features) -> Tensor:
    """Return one code a sample, as ``transform`` does: several globals are averaged.

    Returns
    -------
    Tensor of shape (n, d)
    """
    return features.code.flatten(2).mean(dim=2) if features.code.ndim > 2 else features.code
