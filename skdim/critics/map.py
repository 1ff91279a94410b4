"""A critic that compares codes with whole local maps."""

from collections.abc import Sequence

from torch import Tensor, nn

from skdim.critics.abstract import AbstractCritic
from skdim.critics.concat import ConcatCritic


class MapCritic(AbstractCritic):
    """Score pairs of a code and a whole local map, summarised by convolutions.

    Two 3x3 convolutions without padding, of 64 channels with a ReLU and of 32, followed by
    :class:`ConcatCritic` on the code and the flattened map: the global critic of a PyTorch
    tutorial. The paper's takes the last map of the encoder.

    Parameters
    ----------
    code_features : int
        Size of a code.
    map_shape : tuple of int
        ``(c, h, w)`` of the local map, with sides of at least 5.
    units : int or sequence of int, default=512
        Sizes of the hidden layers; see :class:`ConcatCritic`.
    activation_penalty : float, default=0.0
        See :class:`AbstractCritic`.

    Raises
    ------
    ValueError
        If the local map does not have that shape.
    """

    whole_map = True

    def __init__(
        self,
        code_features: int,
        map_shape: tuple[int, ...] | int,
        units: int | Sequence[int] = 512,
        *,
        activation_penalty: float = 0.0,
    ) -> None:
        super().__init__(activation_penalty=activation_penalty)
        if not isinstance(map_shape, tuple) or len(map_shape) != 3 or min(map_shape[1:]) < 5:
            raise ValueError(
                "MapCritic (critic='map') scores codes against the whole local map of an image, of "
                f"shape (channels, height, width) and at least 5x5, but got {map_shape!r}. It "
                "serves the global term only: critic={'global': 'map'}, with an encoder of large "
                "maps such as 'valid_cnn'."
            )
        channels, height, width = map_shape
        self.summarise = nn.Sequential(
            nn.Conv2d(channels, 64, 3), nn.ReLU(inplace=True), nn.Conv2d(64, 32, 3), nn.Flatten()
        )
        self.compare = ConcatCritic(code_features, 32 * (height - 4) * (width - 4), units)
        self.pair_floats = self.compare.pair_floats

    def project_code(self, code: Tensor) -> Tensor:
        """Project codes (n, d, *grid) to (n, g, units)."""
        return self.compare.project_code(code)

    def project_local(self, local: Tensor) -> Tensor:
        """Project maps (n, c, h, w) to (n, 1, units)."""
        return self.compare.project_local(self.summarise(local))

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*batch, g, u) with (*batch, l, u), to (*batch, g, l)."""
        return self.compare.join(code, local)
