"""The layers of an encoder."""

from dataclasses import dataclass, fields

from torch import Tensor

__all__ = ["LAYERS", "Features", "layer_of"]


@dataclass(frozen=True)
class Features:
    """The layers of an encoder that are trained, kept or evaluated.

    Parameters
    ----------
    local : Tensor of shape (n, c, *grid)
        Local features: each depends on a part of the sample only.
    conv : Tensor of shape (n, c', *grid')
        The last map, which the global term compares with the code.
    hidden : Tensor of shape (n, h)
        The last layer before the code.
    code : Tensor of shape (n, d) or (n, d, *grid)
        The code; with a grid, several globals.
    """

    local: Tensor
    conv: Tensor
    hidden: Tensor
    code: Tensor

    def split(self, n_looks: int) -> list["Features"]:
        """Split stacked samples into those of each of ``n_looks`` looks."""
        parts = [getattr(self, layer).chunk(n_looks) for layer in LAYERS]
        return [Features(*look) for look in zip(*parts, strict=True)]


LAYERS = tuple(field.name for field in fields(Features))


def layer_of(features: Features, layer: str) -> Tensor:
    """Take one layer; several globals are averaged to one code.

    Returns
    -------
    Tensor of shape (n, d) or (n, c, *grid)
    """
    taken: Tensor = getattr(features, layer)
    return taken.flatten(2).mean(dim=2) if layer == "code" and taken.ndim > 2 else taken
