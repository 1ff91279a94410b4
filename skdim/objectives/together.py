"""Several criteria as one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from torch import Generator, Tensor, nn

from skdim.encoders import Features
from skdim.objectives.base import AbstractCriterion, Batch


class Together(AbstractCriterion):
    """Several criteria as one: the union of their terms, and the first score.

    Parameters
    ----------
    criteria : sequence of AbstractCriterion
        Criteria whose terms have different names.
    """

    def __init__(self, criteria: Sequence[AbstractCriterion]) -> None:
        super().__init__()
        self.objectives = nn.ModuleList(criteria)  # The name is part of saved states.
        self.n_summed = max((criterion.n_summed for criterion in criteria), default=1)
        self.scores_looks = any(criterion.scores_looks for criterion in criteria)

    def __iter__(self) -> Iterator[AbstractCriterion]:
        """Yield the criteria in their order."""
        return cast(Iterator[AbstractCriterion], iter(self.objectives))

    def members(self) -> list[AbstractCriterion]:
        """Return the criteria in their order."""
        return list(self)

    @property
    def compares_samples(self) -> bool:  # type: ignore[override]
        """Whether the score of any criterion depends on the number of samples."""
        return any(criterion.compares_samples for criterion in self)

    @property
    def weights_of_bounds(self) -> Mapping[str, float]:  # type: ignore[override]
        """Weights of the bounds of all criteria."""
        return {
            name: weight
            for criterion in self
            for name, weight in criterion.weights_of_bounds.items()
        }

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the terms of all criteria."""
        terms: dict[str, Tensor] = {}
        for criterion in self:
            added = criterion(looks, batch)
            if twice := terms.keys() & added.keys():
                raise ValueError(f"Two criteria have a term named {', '.join(sorted(twice))!r}.")
            terms |= added
        return terms

    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Return the score of the first criterion that has one."""
        return first_found(criterion.score(features, batch) for criterion in self)

    def score_looks(self, looks: Sequence[Features], batch: Batch) -> Tensor | None:
        """Return the score of the first criterion that has one."""
        return first_found(criterion.score_looks(looks, batch) for criterion in self)

    def decode_codes(self, codes: Tensor) -> Tensor | None:
        """Return what the first criterion with a decoder decodes."""
        return first_found(criterion.decode_codes(codes) for criterion in self)

    def draw_codes(self, size: tuple[int, int], generator: Generator) -> Tensor | None:
        """Return codes from the prior of the first criterion that has one."""
        return first_found(criterion.draw_codes(size, generator) for criterion in self)


def first_found(results: Iterable[Tensor | None]) -> Tensor | None:
    """Return the first result that is not None, if there is one."""
    return next((result for result in results if result is not None), None)
