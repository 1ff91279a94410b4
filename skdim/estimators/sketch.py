"""Samples that are no longer there."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from skdim.encoders import LAYERS, Features
from skdim.inputs import Layout, Rows

__all__ = ["Sketch"]


class Sketch(Rows):
    """What is known of samples that are no longer there: enough to build a net for them again.

    Parameters
    ----------
    layout : Layout
    device : torch.device
        "meta" builds nets that have sizes, but no numbers.
    sizes : dict of str to tuple of int, default=None
        Shapes of the features of a sample, layer by layer, where they are known.
    """

    def __init__(
        self,
        layout: Layout,
        device: torch.device,
        sizes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        # Two samples of zeros, which take no memory.
        zeros = np.broadcast_to(np.float32(0), (2, layout.n_features))
        super().__init__(zeros, layout, device)
        self.sizes = sizes

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """Return zeros."""
        return torch.zeros(len(numbers), *self.layout.shape, device=self.device)

    def features(self) -> Features | None:
        """Return features of two samples that have sizes, but no numbers; None if not known."""
        if self.sizes is None:
            return None
        return Features(*(torch.empty(2, *self.sizes[name], device="meta") for name in LAYERS))
