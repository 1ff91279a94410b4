"""The objective of Deep InfoMax: all its terms together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from skdim.bounds import Bound
from skdim.critics import AbstractCritic, GaussianCritic, takes_map
from skdim.encoders import Features
from skdim.objectives.base import AbstractObjective, Together
from skdim.objectives.coordinates import AbsoluteCoordinates, RelativeCoordinates
from skdim.objectives.gaussian import GaussianInformation
from skdim.objectives.information import Information
from skdim.objectives.matching import PriorMatching, make_discriminator
from skdim.priors import Prior

__all__ = ["infomax"]


def infomax(
    sizes: Features,
    *,
    global_weight: float,
    local_weight: float,
    prior_weight: float,
    bound: Bound | None,
    critics: Mapping[str, Callable[[int, Any], AbstractCritic]],
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
        Scores to a number to maximise. None, with Gaussian critics only, is their exact
        information; see :class:`~skdim.objectives.GaussianInformation`.
    critics : mapping of {"local", "global"} to callable
        ``(code_features, local_features) -> AbstractCritic``. The global one is called with the
        size of the last map; or, where its ``whole_map`` says so, with the shape ``(c, *grid)`` of
        the local map, which it then compares codes with.
    negatives : {"all", "shift"} or int
        Which false pairs are compared.
    prior : Prior
        What the codes should follow.
    coordinate_weight, relative_coordinate_weight : float, default=0.0
        Of the tasks in which a location tells its place, and two their distance.
    looks : sequence of (int, int), default=((0, 0),)
        Which look's code meets which look's map.

    Returns
    -------
    Together
        The local term first, whose bound is then the score.

    Raises
    ------
    ValueError
        If there are coordinates to be told, but only one location.

    References
    ----------
    Hjelm et al. (2019), equation 8. arXiv:1808.06670.
    """
    code_features = sizes.code.shape[1]
    local_shape = tuple(sizes.local.shape[1:])
    whole_maps = takes_map(critics.get("global"))
    widths: dict[str, Any] = {
        "local": local_shape[0],
        "global": local_shape if whole_maps else sizes.conv[0].numel(),
    }
    weights = {"local": local_weight, "global": global_weight}
    terms: list[AbstractObjective] = [
        GaussianInformation(
            name,
            GaussianCritic(code_features, widths[name]),
            weight=weight,
            looks=looks,
            whole=name == "global",
        )
        if bound is None
        else Information(
            name,
            critics[name](code_features, widths[name]),
            bound,
            weight=weight,
            negatives=negatives,
            looks=looks,
            whole=name == "global",
        )
        for name, weight in weights.items()
        if weight > 0
    ]
    if prior_weight > 0:
        discriminator = make_discriminator(prior, code_features)
        terms.append(PriorMatching(prior, discriminator, weight=prior_weight))
    channels, *grid = local_shape
    tasks = [
        task(code_features, channels, tuple(grid), weight=weight, looks=looks)
        for task, weight in (
            (AbsoluteCoordinates, coordinate_weight),
            (RelativeCoordinates, relative_coordinate_weight),
        )
        if weight > 0
    ]
    return Together([*terms, *tasks])
