"""The type of views, the pairs of looks that are compared, and two simple views."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Generator, Tensor

__all__ = [
    "GivenLooks",
    "Identity",
    "Mirror",
    "Pairs",
    "View",
    "check_image_batch",
    "check_share",
    "find_pairs",
    "view_of_one",
]

View = Callable[[Tensor, Generator], "tuple[Tensor, ...]"]
Pairs = tuple[tuple[int, int], ...]


def find_pairs(view: object, n_looks: int) -> Pairs:
    """Return the pairs ``(look of the code, look of the local features)`` that are compared.

    ``n_looks`` is the number of looks that the view returns.
    """
    if isinstance(view, GivenLooks):
        return view.pairs_of(n_looks)
    declared: Pairs | None = getattr(view, "pairs", None)
    if declared is not None:
        return declared
    if n_looks == 1:
        return ((0, 0),)
    return tuple((i, j) for i in range(n_looks) for j in range(n_looks) if i != j)


@dataclass(frozen=True)
class Identity:
    """Return each sample unchanged as its only look, as in the paper."""

    pairs: Pairs = ((0, 0),)

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Return the samples as the only look."""
        return (x,)


@dataclass(frozen=True)
class GivenLooks:
    """Return looks that are given in the data, each changed by a view.

    Parameters
    ----------
    view : View
        Applied to each given look; ``Identity()`` leaves them as they are.
    n_given : int
        Number of given looks at each sample.
    """

    view: View
    n_given: int

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Return the looks at samples (n, n_given, ...), one given look after the other."""
        return tuple(look for given in x.unbind(1) for look in self.view(given, generator))

    def pairs_of(self, n_looks: int) -> Pairs:
        """Return all pairs of looks that come from different given looks."""
        each = n_looks // self.n_given
        looks = range(n_looks)
        return tuple((i, j) for i in looks for j in looks if i // each != j // each)


def view_of_one(view: View) -> View:
    """Return the view of single samples: what is applied to each look, if looks are given."""
    return view.view if isinstance(view, GivenLooks) else view


@dataclass(frozen=True)
class Mirror:
    """Return one look at each image, half of them mirrored left to right."""

    pairs: Pairs = ((0, 0),)

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Mirror a random half of the images."""
        check_image_batch(self, x)
        drawn = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device)
        return (torch.where(drawn < 0.5, x.flip(-1), x),)


def check_share(view: object, name: str, most: float = 1.0) -> None:
    """Raise a ValueError if a parameter is not a number from 0 to ``most``."""
    value = getattr(view, name)
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= most:
        raise ValueError(
            f"{type(view).__name__}({name}={value!r}): {name} must be a number from 0 to {most:g}."
        )


def check_image_batch(view: object, x: Tensor) -> None:
    """Raise a ValueError if samples are not images."""
    if x.ndim != 4:
        raise ValueError(
            f"{type(view).__name__} is a view of images, but each sample has the shape "
            f"{tuple(x.shape[1:])}. Give image_shape, or use view=None."
        )
