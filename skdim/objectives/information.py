"""The local and the global term: information between the code and a map of a sample."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from skdim.bounds import Bound
from skdim.critics import AbstractCritic
from skdim.encoders import Features
from skdim.objectives.base import AbstractCriterion, Batch
from skdim.pairs import bound_of_pairs


class Information(AbstractCriterion):
    """Maximise a bound on the information between a code and a layer.

    With several locations, InfoNCE is a score that may exceed the information; see
    :mod:`skdim.bounds`.

    With ``samples`` of the critic, each training step draws the locations that codes are compared
    with. With its ``activation_penalty``, a term NAME_activation penalises the squared length of
    the projected codes.

    Parameters
    ----------
    name : str
        Name of the term: "local" or "global".
    critic : AbstractCritic
        Scores pairs of code and layer.
    bound : Bound
        Maps scores to a number to maximise.
    weight : float, default=1.0
        Weight of the term in the loss: the paper's beta (local) or alpha (global).
    negatives : {"all", "shift"} or int, default="all"
        Which pairs are negatives; see :mod:`skdim.pairs`.
    looks : sequence of (int, int), default=((0, 0),)
        ``(look of the code, look of the layer)``; the bounds of all entries are averaged.
    first, second : {"code", "conv", "local"}, default="code", "local"
        Layers whose locations are compared with each other.
    whole : bool, default=False
        False compares with each location of ``second``, True with the flattened
        ``Features.conv``, or with all of ``second`` if the critic takes maps.

    Raises
    ------
    ValueError
        If ``whole`` is False and the critic scores whole maps.

    References
    ----------
    Hjelm et al. (2019), equations 4 and 5 (bounds) and 6 (local). arXiv:1808.06670.
    """

    compares_samples = True

    def __init__(
        self,
        name: str,
        critic: AbstractCritic,
        bound: Bound,
        *,
        weight: float = 1.0,
        negatives: str | int = "all",
        looks: Sequence[tuple[int, int]] = ((0, 0),),
        first: str = "code",
        second: str = "local",
        whole: bool = False,
    ) -> None:
        super().__init__()
        if critic.whole_map and not whole:
            raise ValueError(
                f"the {name} term compares codes with one location at a time, but "
                f"{type(critic).__name__} scores whole maps. Use it for the global term: "
                "critic={'global': ...}."
            )
        self.name = name
        self.critic = critic
        self.bound = bound
        self.weight = weight
        self.negatives = negatives
        self.looks = tuple(looks)
        self.first = first
        self.second = second
        self.whole = whole

    @property
    def weights_of_bounds(self) -> Mapping[str, float]:  # type: ignore[override]
        """Weight of the bound."""
        return {self.name: self.weight}

    @torch.no_grad()
    def check(self, sizes: Features) -> None:
        """Raise a ValueError if the critic cannot score features of these sizes."""
        device = next((weight.device for weight in self.critic.parameters()), sizes.code.device)
        code, layer = (part.to(device) for part in (self.code_of(sizes), self.layer_of(sizes)))
        training = self.critic.training
        try:
            self.critic.eval()(code, layer)
        except RuntimeError as error:
            raise ValueError(
                f"The critic {type(self.critic).__name__} of the {self.name} term cannot score "
                f"codes of shape {tuple(code.shape[1:])} with a layer of shape "
                f"{tuple(layer.shape[1:])}, both {layer.dtype}. Give one made for these, or its "
                f"class: it is called with both numbers of channels. ({error})"
            ) from error
        finally:
            self.critic.train(training)

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return minus the weighted bound, and the penalty; see ``AbstractCriterion.forward``."""
        bounds, lengths = [], []
        for i, j in self.looks:
            projected = self.critic.project_code(self.code_of(looks[i]))
            layer = self.draw_locations(self.layer_of(looks[j]), batch)
            bounds.append(self.compare(projected, layer, batch))
            lengths.append(projected.square().sum(dim=2).mean())
        terms = {self.name: -self.weight * torch.stack(bounds).mean()}
        if penalty := self.critic.activation_penalty:
            terms[f"{self.name}_activation"] = penalty * torch.stack(lengths).mean()
        return terms

    def score(self, features: Features, batch: Batch) -> Tensor:
        """Return the bound without its weight; see ``AbstractCriterion.score``."""
        return self.estimate(features, features, batch)

    def score_looks(self, looks: Sequence[Features], batch: Batch) -> Tensor:
        """Return the mean bound over the pairs of looks that are compared."""
        pairs = [self.estimate(looks[i], looks[j], batch) for i, j in self.looks]
        return torch.stack(pairs).mean()

    def estimate(self, of_code: Features, of_layer: Features, batch: Batch) -> Tensor:
        """Bound the information between the code of one look and the layer of another."""
        codes = self.critic.project_code(self.code_of(of_code))
        return self.compare(codes, self.layer_of(of_layer), batch)

    def code_of(self, features: Features) -> Tensor:
        """Return the codes that are compared, (n, d, *grid)."""
        code: Tensor = getattr(features, self.first)
        return code

    def layer_of(self, features: Features) -> Tensor:
        """Return the layer that codes are compared with, (n, c, *grid)."""
        if self.whole and not self.critic.whole_map:
            return features.conv.flatten(1)
        layer: Tensor = getattr(features, self.second)
        return layer

    def draw_locations(self, layer: Tensor, batch: Batch) -> Tensor:
        """Draw locations (n, c, samples) of a layer if the critic has ``samples``."""
        if self.critic.samples is None or self.whole:
            return layer
        n, channels = layer.shape[:2]
        locations = layer.reshape(n, channels, -1)
        size = (n, 1, self.critic.samples)
        drawn = torch.randint(
            locations.shape[2], size, generator=batch.generator, device=layer.device
        )
        return locations.gather(2, drawn.expand(-1, channels, -1))

    def compare(self, codes: Tensor, layer: Tensor, batch: Batch) -> Tensor:
        """Bound the information between projected codes (n, g, u) and a layer (n, c, *grid)."""
        return bound_of_pairs(
            self.bound,
            self.critic.join,
            codes,
            self.critic.project_local(layer),
            self.negatives,
            generator=batch.generator,
            pair_floats=self.critic.pair_floats,
        )
