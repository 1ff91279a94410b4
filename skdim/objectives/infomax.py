"""The objective of Deep InfoMax."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from skdim.bounds import BOUNDS, Bound
from skdim.critics import CRITICS, AbstractCritic, GaussianCritic, takes_map
from skdim.encoders import LAYERS, Features, LinearEncoder
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


def infomax(
    sizes: Features,
    *,
    global_weight: float,
    local_weight: float,
    prior_weight: float,
    bound: Bound | None,
    critics: Mapping[str, AbstractCritic | CriticFactory],
    negatives: str | int,
    prior: Prior,
    coordinate_weight: float = 0.0,
    relative_coordinate_weight: float = 0.0,
    looks: Sequence[tuple[int, int]] = ((0, 0),),
) -> Together:
    """Build the terms of Deep InfoMax whose weight is not zero.

    Parameters
    ----------
    sizes : Features
        Features of any samples, from which the sizes are read.
    global_weight, local_weight, prior_weight : float
        Alpha, beta and gamma of the paper.
    bound : Bound or None
        Maps scores to a number to maximise. None, with Gaussian critics only, is their exact
        information; see :class:`~skdim.objectives.GaussianInformation`.
    critics : mapping of {"local", "global"} to AbstractCritic or callable
        A critic is copied. A callable ``(code_features, local_features) -> AbstractCritic`` of the
        global term is called with the size of the last map or, if its ``whole_map`` is True, with
        the shape ``(c, *grid)`` of the local map.
    negatives : {"all", "shift"} or int
        Which pairs are negatives.
    prior : Prior
        Distribution that codes are matched to.
    coordinate_weight, relative_coordinate_weight : float, default=0.0
        Weights of the coordinate tasks.
    looks : sequence of (int, int), default=((0, 0),)
        Pairs ``(look of the code, look of the map)``.

    Returns
    -------
    Together
        The local term comes first: its bound is the score.

    Raises
    ------
    ValueError
        If a coordinate task has a weight, but the map has a single location.

    References
    ----------
    Hjelm et al. (2019), equation 8. arXiv:1808.06670.
    """
    code_features = sizes.code.shape[1]
    local_shape = tuple(sizes.local.shape[1:])
    whole: Any = local_shape if takes_map(critics.get("global")) else sizes.conv[0].numel()
    terms: list[AbstractCriterion] = []
    for name, weight, layer in (
        ("local", local_weight, local_shape[0]),
        ("global", global_weight, whole),
    ):
        if weight > 0:
            shared: dict[str, Any] = {"weight": weight, "looks": looks, "whole": name == "global"}
            if bound is None:
                gaussian = GaussianCritic(code_features, layer)
                terms.append(GaussianInformation(name, gaussian, **shared))
            else:
                critic = build_critic(critics[name], code_features, layer)
                terms.append(Information(name, critic, bound, negatives=negatives, **shared))
    if prior_weight > 0:
        discriminator = make_discriminator(prior, code_features)
        terms.append(PriorMatching(prior, discriminator, weight=prior_weight))
    channels, *grid = local_shape
    for task, weight in (
        (AbsoluteCoordinates, coordinate_weight),
        (RelativeCoordinates, relative_coordinate_weight),
    ):
        if weight > 0:
            terms.append(task(code_features, channels, tuple(grid), weight=weight, looks=looks))
    return Together(terms)


@dataclass(eq=False, repr=False, kw_only=True)
class InfoMax(AbstractObjective):
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

    def build(self, setting: Setting) -> Together:
        """Build the terms whose weight is not 0; see ``AbstractObjective.build``."""
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
        terms = infomax(
            setting.sizes,
            global_weight=weights["global"],
            local_weight=weights["local"],
            prior_weight=self.prior_weight,
            bound=None if solved or (solvable and self.critic == "gaussian") else bound,
            critics=find_critics(self.critic, self.critic_units),
            negatives=self.negatives,
            prior=find_prior(self.prior),
            coordinate_weight=self.coordinate_weight,
            relative_coordinate_weight=self.relative_coordinate_weight,
            looks=setting.looks,
        )
        if setting.sizes.code.device.type != "meta":
            for term in terms:
                if isinstance(term, Information):
                    term.check(setting.sizes)
        if not self.takes_labels:
            return terms
        classifier = Classification(
            self.classifier_layer, setting.sizes, setting.n_classes, weight=self.classifier_weight
        )
        return Together([*terms, classifier])

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
