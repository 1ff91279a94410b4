"""An encoder whose code summarises all preceding rows, for predictive coding."""

import math

from torch import Tensor, nn
from torch.nn.functional import pad

from skdim.encoders.folded import FoldedAlexNetMultiEncoder
from skdim.encoders.layers import Features, Shape, Stages
from skdim.encoders.linear import LinearEncoder
from skdim.encoders.mlp import MLPEncoder

# Number of rows of a causal layer's filters, and of columns if there are several.
WINDOW = 3


class ContextEncoder(nn.Module):
    """Add a causal context to the local features of another encoder.

    The context at row r of the local map is a function of the local features of rows 0 to r, in all
    columns. Rows are ordered from the top of an image, the start of a signal or the first group of
    columns. Residual convolutions, whose dilation doubles from layer to layer, cover the whole map;
    they are normalised over channels only, since statistics over rows would not be causal.

    Later stages of this package's encoders are removed from ``base``. Other modules run entirely,
    and their weights after the local features are not trained.

    Parameters
    ----------
    base : Module
        Maps samples to :class:`~skdim.encoders.Features`; modified in place.
    local_shape : tuple of int
        ``(c, rows, *columns)`` of its local features.
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
    coding. arXiv:1807.03748.
    """

    def __init__(
        self, base: nn.Module, local_shape: Shape, n_components: int, *, context_units: int = 128
    ) -> None:
        super().__init__()
        if len(local_shape) < 2:
            raise ValueError(
                f"The encoder's local features have shape {local_shape} per sample, without a grid "
                "and so without an order of rows. Use an encoder with a local map, such as 'mlp', "
                "'patch_network' or 'conv1d'."
            )
        channels, n_rows, *columns = local_shape
        self.base = base
        if isinstance(base, Stages | MLPEncoder | FoldedAlexNetMultiEncoder | LinearEncoder):
            for stage in ("to_conv", "to_hidden", "to_code"):
                if hasattr(base, stage):
                    setattr(base, stage, nn.Identity())
        self.widen = nn.Linear(channels, context_units)
        wide = math.prod(columns) > 1
        # With this number of layers, the last row depends on the first.
        n_layers = max(1, math.ceil(math.log2((n_rows + 1) / (WINDOW - 1))))
        self.layers = nn.ModuleList(
            CausalLayer(context_units, dilation=2**i, wide=wide) for i in range(n_layers)
        )
        self.norm = nn.LayerNorm(context_units)
        self.to_code = nn.Linear(context_units, n_components)

    def forward(self, x: Tensor) -> Features:
        r"""Encode samples (n, \*input_shape).

        Returns
        -------
        Features
            ``local`` of the base encoder; ``conv`` the context (n, context_units, \*grid);
            ``hidden`` its mean over the grid; ``code`` (n, n_components, \*grid), one per location.
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
    """A residual convolution over the current and two previous rows, ``dilation`` rows apart.

    If ``wide``, it also covers neighbouring columns.
    """

    def __init__(self, units: int, *, dilation: int, wide: bool) -> None:
        super().__init__()
        self.margin = WINDOW // 2 if wide else 0
        self.before = (WINDOW - 1) * dilation
        self.norm = nn.LayerNorm(units)
        self.look = nn.Conv2d(units, units, (WINDOW, 1 + 2 * self.margin), dilation=(dilation, 1))

    def forward(self, context: Tensor) -> Tensor:
        """Map contexts (n, rows, columns, units), independently of later rows."""
        normal = self.norm(context).relu().movedim(3, 1)
        change: Tensor = self.look(pad(normal, (self.margin, self.margin, self.before, 0)))
        return context + change.movedim(1, 3)
