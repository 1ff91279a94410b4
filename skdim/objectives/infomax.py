"""The objective of Deep InfoMax."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from skdim.bounds import BOUNDS, Bound
from skdim.critics import CRITICS, AbstractCritic, GaussianCritic, takes_map
from skdim.encoders import LAYERS, LinearEncoder
from skdim.inputs import Layout
from skdim.objectives.base import AbstractCriterion, AbstractObjective, Defaults, Setting
from skdim.objectives.classification import Classification
from skdim.objectives.coordinates import AbsoluteCoordinates, RelativeCoordinates
from skdim.objectives.gaussian import GaussianInformation
from skdim.objectives.information import Information
from skdim.objectives.matching import PRIOR_RULE, PriorMatching, find_prior, make_discriminator
from skdim.objectives.together import Together
from skdim.parameters import (
    Rule,
    any_of,
    choice,
    dict_of,
    instance,
    integer,
    is_callable,
    real,
    tuple_of_integers,
)
from skdim.priors import Prior
from skdim.views import VIEWS, Augment, Identity

# From the size of the code and that of a local feature, or the shape of a whole map.
CriticFactory = Callable[[int, Any], AbstractCritic]
CriticSpec = str | AbstractCritic | CriticFactory
Units = int | tuple[int, ...] | str

INFORMATION_WEIGHTS = ("global_weight", "local_weight")
OTHER_WEIGHTS = (
    "prior_weight",
    "coordinate_weight",
    "relative_coordinate_weight",
    "classifier_weight",
)

CRITIC_RULE = any_of(
    choice(["auto", *CRITICS]),
    instance("a critic", AbstractCritic),
    is_callable("a callable (code_features, local_features) -> critic"),
)
UNITS_RULE = any_of(integer(1), tuple_of_integers(), choice(["auto"]))


@dataclass(eq=False, repr=False, kw_only=True)
class InfoMaxParameters:
    """The parameters of Deep InfoMax, of the objective and of its own transformer."""

    global_weight: float | str = "auto"
    local_weight: float | str = "auto"
    prior_weight: float = 0.0
    coordinate_weight: float = 0.0
    relative_coordinate_weight: float = 0.0
    classifier_weight: float = 0.0
    classifier_layer: str = "code"
    bound: str | Bound = "auto"
    critic: CriticSpec | Mapping[str, CriticSpec] = "auto"
    critic_units: Units | Mapping[str, Units] = "auto"
    negatives: int | str = "all"
    prior: str | Prior = "uniform"


@dataclass(eq=False, repr=False, kw_only=True)
class InfoMax(InfoMaxParameters, AbstractObjective):
    """Deep InfoMax: information between the code and maps of the same sample.

    The parameters are described in :class:`~skdim.DeepInfoMaxTransformer`.

    Parameters
    ----------
    global_weight, local_weight : float or "auto", default="auto"
    prior_weight, coordinate_weight, relative_coordinate_weight, classifier_weight : float, \
default=0.0
    classifier_layer : {"code", "hidden", "conv", "local"}, default="code"
    bound : str or Bound, default="auto"
    critic : str, AbstractCritic, callable or dict, default="auto"
    critic_units : int, tuple, dict or "auto", default="auto"
    negatives : {"all", "shift"} or int, default="all"
    prior : str or Prior, default="uniform"

    Notes
    -----
    Terms whose weight is not 0: ``local``, ``global``, ``prior`` and ``discriminator``,
    ``coordinate``, ``relative_coordinate`` and ``classifier``. For ``score``, see
    :class:`~skdim.DeepInfoMaxTransformer`.

    References
    ----------
    Hjelm, Fedorov, Lavoie-Marchildon, Grewal, Bachman, Trischler and Bengio (2019). Learning
    deep representations by mutual information estimation and maximization. ICLR.
    arXiv:1808.06670.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import EncoderTransformer
    >>> from skdim.objectives import InfoMax
    >>> images = load_digits().images[:300]
    >>> dim = EncoderTransformer(16, objective=InfoMax(bound="jsd"), max_epochs=2, random_state=0)
    >>> dim.fit_transform(images).shape
    (300, 16)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **dict.fromkeys(INFORMATION_WEIGHTS, any_of(real(0), choice(["auto"]))),
        **dict.fromkeys(OTHER_WEIGHTS, real(0)),
        "classifier_layer": choice(LAYERS),
        "bound": any_of(choice(["auto", *BOUNDS]), instance("a skdim.bounds.Bound", Bound)),
        "critic": any_of(CRITIC_RULE, dict_of("local", "global", rule=CRITIC_RULE)),
        "critic_units": any_of(UNITS_RULE, dict_of("local", "global", rule=UNITS_RULE)),
        "negatives": any_of(choice(["all", "shift"]), integer(1)),
        "prior": PRIOR_RULE,
    }
    score_hint = "Give local_weight or global_weight a value above 0"

    def build(self, setting: Setting) -> Together:
        """Build the terms whose weight is not 0; see ``AbstractObjective.build``."""
        terms = self.information_terms(setting)
        code_features = setting.sizes.code.shape[1]
        if self.prior_weight > 0:
            prior = find_prior(self.prior)
            discriminator = make_discriminator(prior, code_features)
            terms.append(PriorMatching(prior, discriminator, weight=self.prior_weight))
        channels, *grid = setting.sizes.local.shape[1:]
        for task, weight in (
            (AbsoluteCoordinates, self.coordinate_weight),
            (RelativeCoordinates, self.relative_coordinate_weight),
        ):
            if weight > 0:
                looks = setting.looks
                terms.append(task(code_features, channels, tuple(grid), weight=weight, looks=looks))
        if setting.sizes.code.device.type != "meta":
            for term in terms:
                if isinstance(term, Information):
                    term.check(setting.sizes)
        if self.takes_labels:
            layer, weight = self.classifier_layer, self.classifier_weight
            terms.append(Classification(layer, setting.sizes, setting.n_classes, weight=weight))
        return Together(terms)

    def information_terms(self, setting: Setting) -> list[AbstractCriterion]:
        """Build the local and the global term, if their weights are not 0.

        With Gaussian critics that the closed form sets, their exact information is maximised; see
        :class:`~skdim.objectives.GaussianInformation`.
        """
        solvable = isinstance(setting.encoder, LinearEncoder) and not self.without_closed_form()
        solved = solvable and not setting.gradients
        weights = self.weights(closed_form=solved)
        if not any(getattr(self, name) for name in OTHER_WEIGHTS) and not any(weights.values()):
            *first, last = (*INFORMATION_WEIGHTS, *OTHER_WEIGHTS)
            raise ValueError(
                f"{', '.join(first)} and {last} are all 0. Set at least one of them to a value "
                "above 0."
            )
        bound = self.bound
        if isinstance(bound, str):
            bound = BOUNDS["infonce" if bound == "auto" else bound]
        critics = find_critics(self.critic, self.critic_units)
        sizes = setting.sizes
        code_features, local_shape = sizes.code.shape[1], tuple(sizes.local.shape[1:])
        whole: Any = local_shape if takes_map(critics["global"]) else sizes.conv[0].numel()
        terms: list[AbstractCriterion] = []
        for name, layer in (("local", local_shape[0]), ("global", whole)):
            if weights[name] == 0:
                continue
            shared: dict[str, Any] = {
                "weight": weights[name],
                "looks": setting.looks,
                "whole": name == "global",
            }
            if solved or (solvable and self.critic == "gaussian"):
                gaussian = GaussianCritic(code_features, layer)
                terms.append(GaussianInformation(name, gaussian, **shared))
            else:
                critic = build_critic(critics[name], code_features, layer)
                terms.append(Information(name, critic, bound, negatives=self.negatives, **shared))
        return terms

    def weights(self, *, closed_form: bool) -> dict[str, float]:
        """Return the weights of the terms of information, "auto" resolved."""
        given = {"local": self.local_weight, "global": self.global_weight}
        automatic = {"local": 1.0, "global": 0.0}
        if closed_form and all(isinstance(weight, str) for weight in given.values()):
            automatic = {"local": 0.0, "global": 1.0}
        return {
            name: automatic[name] if isinstance(weight, str) else float(weight)
            for name, weight in given.items()
        }

    @property
    def takes_labels(self) -> bool:
        """Whether there is a classifier."""
        return bool(self.classifier_weight != 0)

    def without_closed_form(self) -> list[str]:
        """Return the parameters that have no closed form."""
        solvable = {
            "bound": self.bound == "auto",
            "critic": isinstance(self.critic, str) and self.critic in ("auto", "gaussian"),
            "critic_units": self.critic_units == "auto",
            "negatives": self.negatives == "all",
            **{name: not getattr(self, name) for name in OTHER_WEIGHTS},
        }
        return [name for name, is_solvable in solvable.items() if not is_solvable]

    def defaults(self, layout: Layout, *, closed_form: bool) -> Defaults:
        """Return the fixed features and views of the closed form, or those for gradients."""
        if layout.is_image and closed_form:
            return Defaults("patches", Augment.crops(colours=layout.shape[0] == 3))
        if layout.is_image:
            return super().defaults(layout, closed_form=closed_form)
        view = VIEWS["stretch"] if len(layout.shape) == 2 else Identity()
        return Defaults("columns" if closed_form else "mlp", view)


def find_critics(
    critic: CriticSpec | Mapping[str, CriticSpec], units: Units | Mapping[str, Units]
) -> Mapping[str, AbstractCritic | CriticFactory]:
    """Return the critics of the local and the global term, or the callables that build them."""
    critics = critic if isinstance(critic, Mapping) else {"local": critic, "global": critic}
    sizes = units if isinstance(units, Mapping) else {"local": units, "global": units}
    return {
        name: critic_factory(critics.get(name, "dot"), sizes.get(name, "auto"))
        for name in ("local", "global")
    }


def critic_factory(critic: CriticSpec, units: Units) -> AbstractCritic | CriticFactory:
    """Return a critic or callable as it is, or the callable that builds the critic of a key."""
    if not isinstance(critic, str):
        return critic
    if isinstance(units, tuple) and critic not in ("concat", "map"):
        raise ValueError(
            f"critic_units={units} has sizes of several hidden layers, but critic={critic!r} has "
            "one. Give an int, or use 'concat' or 'map'."
        )
    factory = CRITICS["dot" if critic == "auto" else critic]
    return factory if units == "auto" else partial(factory, units=units)


def build_critic(
    critic: AbstractCritic | CriticFactory, code_features: int, local_features: Any
) -> AbstractCritic:
    """Copy a critic, or build one; raise a TypeError if the callable returns another object."""
    if isinstance(critic, AbstractCritic):
        return copy.deepcopy(critic)
    made = critic(code_features, local_features)
    if not isinstance(made, AbstractCritic):
        raise TypeError(
            f"critic={critic!r} returned an object of type {type(made).__name__}. It must return a "
            "skdim.critics.AbstractCritic when called with (code_features, local_features)."
        )
    return made
