"""Prior distributions of codes: a map of codes into their range, and a sampler."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import normalize

__all__ = ["PRIORS", "Prior"]


@dataclass(frozen=True)
class Prior:
    """A distribution that codes are trained to follow.

    Parameters
    ----------
    squash : callable
        Maps codes (n, d) into the range of the prior, before they are compared with draws.
    sample : callable
        ``(size, generator=None, device=None, dtype=None) -> draws`` of shape ``size = (n, d)``. The
        defaults are torch's global generator, the generator's device and torch's dtype.
    gradient_penalty : float, default=0.0
        Weight of a penalty in the discriminator's loss: half the sum of the mean squared norms of
        its gradients at draws and at codes. It stabilises training at high weights of the prior, at
        the cost of a second derivative per step; the reference code uses 1.0. "normal" and "sphere"
        of ``PRIORS`` have 0.1.
    discriminator : Module or callable, default=None
        Discriminates codes from draws: a module (copied) from points (n, d) to logits (n, 1), or a
        callable ``d -> Module``. None is the paper's, :class:`skdim.critics.Discriminator`.
    unsquash : callable, default=None
        Inverts ``squash``: maps draws (n, d) to codes. None if it has no inverse; then an
        autoencoder draws no samples.

    Raises
    ------
    ValueError
        If the penalty is negative or infinite.

    References
    ----------
    Mescheder, Geiger and Nowozin (2018). Which training methods for GANs do actually converge?
    ICML. arXiv:1801.04406 (the penalties R1 and R2).

    Examples
    --------
    >>> PRIORS["uniform"].squash(torch.zeros(1, 2))
    tensor([[0.5000, 0.5000]])
    >>> PRIORS["uniform"].sample((3, 2), torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2])
    """

    squash: Callable[[Tensor], Tensor]
    sample: Callable[..., Tensor]
    gradient_penalty: float = 0.0
    discriminator: nn.Module | Callable[[int], nn.Module] | None = None
    unsquash: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        """Validate the penalty."""
        if not 0 <= self.gradient_penalty < math.inf:
            raise ValueError(f"gradient_penalty={self.gradient_penalty}; it must be 0 or more.")

    def draw_like(self, codes: Tensor, generator: Generator) -> Tensor:
        """Draw as many points as there are codes, on their device."""
        return self.sample(codes.shape, generator, device=codes.device, dtype=codes.dtype)

    def draw_codes(self, size: Sequence[int], generator: Generator) -> Tensor | None:
        """Draw codes whose squashed values follow the prior; None if ``squash`` has no inverse."""
        if self.unsquash is None:
            return None
        return self.unsquash(self.sample(size, generator))


def squash_to_cube(code: Tensor) -> Tensor:
    """Map each coordinate into (0, 1) by the logistic function."""
    return code.sigmoid()


def unsquash_from_cube(drawn: Tensor) -> Tensor:
    """Map each coordinate from [0, 1] to its logit, finite also at the ends."""
    return drawn.logit(eps=1e-6)


def leave(code: Tensor) -> Tensor:
    """Return the code unchanged."""
    return code


def squash_to_sphere(code: Tensor) -> Tensor:
    """Scale each code to Euclidean length 1."""
    return normalize(code, dim=1)


def sample_uniform(
    size: Sequence[int],
    generator: Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Draw independent coordinates, uniform on [0, 1]."""
    drawn_on = device if generator is None else generator.device
    drawn = torch.rand(tuple(size), generator=generator, device=drawn_on, dtype=dtype)
    return drawn if device is None else drawn.to(device, non_blocking=True)


def sample_normal(
    size: Sequence[int],
    generator: Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Draw independent coordinates, standard normal."""
    drawn_on = device if generator is None else generator.device
    drawn = torch.randn(tuple(size), generator=generator, device=drawn_on, dtype=dtype)
    return drawn if device is None else drawn.to(device, non_blocking=True)


def sample_sphere(
    size: Sequence[int],
    generator: Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Draw uniformly from the sphere of radius 1."""
    return squash_to_sphere(sample_normal(size, generator, device, dtype))


# Without a penalty, codes that are not squashed into the cube do not settle at a weight of 0.1.
PRIORS: dict[str, Prior] = {
    "uniform": Prior(squash_to_cube, sample_uniform, unsquash=unsquash_from_cube),
    "normal": Prior(leave, sample_normal, gradient_penalty=0.1, unsquash=leave),
    "sphere": Prior(squash_to_sphere, sample_sphere, gradient_penalty=0.1),
}
