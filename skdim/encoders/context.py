"""An encoder whose code is a summary of what lies above each place: for predictive coding."""

import math

from torch import Tensor, nn
from torch.nn.functional import pad

from skdim.encoders.features import Features
from skdim.encoders.folded import FoldedAlexNetMultiEncoder
from skdim.encoders.layers import Stages
from skdim.encoders.linear import LinearEncoder
from skdim.encoders.mlp import MLPEncoder

__all__ = ["ContextEncoder"]

BEHIND_LOCAL = ("to_conv", "to_hidden", "to_code")

# Rows that one causal layer sees, and columns, where there are several.
WINDOW = 3


class ContextEncoder(nn.Module):
    r"""Put a causal summary on the local features of another encoder.

    Rows of the local map are taken in their order: from the top of an image to its bottom, from the
    start of a signal to its end, from the first group of columns to the last. The context at row r
    is computed from the local features of row r and the rows before it, in all columns, by
    residual convolutions whose reach doubles from layer to layer until it is the whole map. They
    are normalised over the channels of each place alone: statistics over places would let a context
    know of what comes after it.

    Of the encoder below, only what leads to its local features is kept: of the encoders of this
    package, the stages behind are taken out. Another module runs whole, and its weights behind the
    local features are not trained.

    Parameters
    ----------
    base : Module
        Samples to :class:`~skdim.encoders.Features`. It is changed as said.
    local_shape : tuple of int
        ``(c, *grid)`` of its local features, with at least one axis of the grid. The first one
        counts the rows; all others are columns.
    n_components : int
        Size of the code.
    context_units : int, default=128
        Channels of the context.

    Raises
    ------
    ValueError
        If the local features have no grid.

    References
    ----------
    van den Oord, Li and Vinyals (2018). Representation learning with contrastive predictive
    coding. arXiv:1807.03748. (A PixelCNN-style summary of the rows above.)
    """

    def __init__(
        self,
        base: nn.Module,
        local_shape: tuple[int, ...],
        n_components: int,
        *,
        context_units: int = 128,
    ) -> None:
        super().__init__()
        if len(local_shape) < 2:
            raise ValueError(
                f"the encoder's local features have shape {local_shape} a sample: channels without "
                "places, so that there is nothing before or after. Take an encoder that gives a "
                "map, such as 'mlp', 'patch_network' or 'conv1d'."
            )
        channels, n_rows, *columns = local_shape
        self.base = base
        take_out_stages_behind(base)
        self.widen = nn.Linear(channels, context_units)
        wide = math.prod(columns) > 1
        self.layers = nn.ModuleList(
            CausalLayer(context_units, dilation=2**i, wide=wide)
            for i in range(layers_to_reach(n_rows))
        )
        self.norm = nn.LayerNorm(context_units)
        self.to_code = nn.Linear(context_units, n_components)

    def forward(self, x: Tensor) -> Features:
        r"""Encode.

        Parameters
        ----------
        x : Tensor of shape (n, \*input_shape)

        Returns
        -------
        Features
            ``local`` of the encoder below; ``conv`` the context (n, context_units, \*grid);
            ``hidden`` its mean over the grid; ``code`` (n, n_components, \*grid), a code at each
            place, whose mean ``transform`` gives.
        """
        local: Tensor = self.base(x).local
        n, channels, n_rows, *columns = local.shape
        context = self.widen(local.reshape(n, channels, n_rows, -1).movedim(1, 3))
        for layer in self.layers:
            context = layer(context)
        context = self.norm(context)  # (n, rows, columns, context_units)
        code = self.to_code(context)
        conv, codes = (
            values.movedim(3, 1).reshape(n, -1, n_rows, *columns) for values in (context, code)
        )
        return Features(local, conv, context.flatten(1, 2).mean(dim=1), codes)


class CausalLayer(nn.Module):
    """Add to each place what it and the two rows before it, so many rows apart, say.

    Parameters
    ----------
    units : int
    dilation : int
        How many rows lie from one to the next.
    wide : bool
        Whether the columns beside are looked at, too.
    """

    def __init__(self, units: int, *, dilation: int, wide: bool) -> None:
        super().__init__()
        self.beside = WINDOW // 2 if wide else 0
        self.before = (WINDOW - 1) * dilation
        self.norm = nn.LayerNorm(units)
        self.look = nn.Conv2d(units, units, (WINDOW, 1 + 2 * self.beside), dilation=(dilation, 1))

    def forward(self, context: Tensor) -> Tensor:
        """Change contexts (n, rows, columns, units); no row learns of later ones."""
        given = self.norm(context).relu().movedim(3, 1)
        seen: Tensor = self.look(pad(given, (self.beside, self.beside, self.before, 0)))
        return context + seen.movedim(1, 3)


def layers_to_reach(n_rows: int) -> int:
    """Count the layers, each of twice the reach, by which the last row hears of the first."""
    return max(1, math.ceil(math.log2((n_rows + 1) / (WINDOW - 1))))


def take_out_stages_behind(base: nn.Module) -> None:
    """Take out what lies behind the local features of one of this package's encoders."""
    if isinstance(base, Stages | MLPEncoder | FoldedAlexNetMultiEncoder | LinearEncoder):
        for stage in BEHIND_LOCAL:
            if hasattr(base, stage):
                setattr(base, stage, nn.Identity())
