"""What the parameters of Deep InfoMax may be."""

from skdim.bounds import BOUNDS
from skdim.critics import CRITICS, AbstractCritic
from skdim.encoders import LAYERS
from skdim.estimators.parameters import (
    any_of,
    choice,
    dict_of,
    instance,
    integer,
    is_callable,
    real,
)
from skdim.estimators.rules import COMMON_RULES
from skdim.priors import PRIORS, Prior

__all__ = ["RULES", "WEIGHTS"]

WEIGHTS = (
    "global_weight",
    "local_weight",
    "prior_weight",
    "coordinate_weight",
    "relative_coordinate_weight",
    "classifier_weight",
)


A_CRITIC = any_of(
    choice(["auto", *CRITICS]),
    instance("a critic", AbstractCritic),
    is_callable("a callable (code_features, local_features) -> critic"),
)

RULES = COMMON_RULES | {
    **dict.fromkeys(WEIGHTS[:2], any_of(real(0), choice(["auto"]))),
    **dict.fromkeys(WEIGHTS[2:], real(0)),
    "classifier_layer": choice(LAYERS),
    "bound": choice(["auto", *BOUNDS]),
    "critic": any_of(A_CRITIC, dict_of("local", "global", rule=A_CRITIC)),
    "critic_units": any_of(integer(1), choice(["auto"])),
    "negatives": any_of(choice(["all", "shift"]), integer(1)),
    "prior": any_of(choice(PRIORS), instance("a skdim.priors.Prior", Prior)),
}
