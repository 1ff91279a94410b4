"""An encoder of vectors whose local features each see one group of columns only."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from skdim.encoders.features import Features

__all__ = ["MLPEncoder"]


class MLPEncoder(nn.Module):
    """Encode vectors by a multilayer perceptron over groups of columns.

    The columns are cut, in their order, into groups of about equal size. Each group has its own
    layer and gives one local feature, so that comparing the code with all of them asks the code
    to know something of every column: the counterpart of an image's locations.

    Parameters
    ----------
    input_shape : tuple of one int
        ``(n_features,)``.
    n_components : int
        Size of the code.
    n_groups : int, default=8
        Number of groups; at most one a column.
    local_units : int, default=64
        Size of a local feature.
    hidden_units : int, default=256
        Size of the hidden layer.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        n_groups: int = 8,
        local_units: int = 64,
        hidden_units: int = 256,
    ) -> None:
        super().__init__()
        if len(input_shape) != 1:
            raise ValueError(
                f"encoder='mlp' encodes vectors, but the samples have shape {input_shape}. "
                "Use encoder='auto' or an encoder of images."
            )
        (self.n_features,) = input_shape
        self.n_groups = min(n_groups, self.n_features)
        self.group_size = -(-self.n_features // self.n_groups)
        n_inputs = self.n_groups * self.group_size
        n_locals = self.n_groups * local_units
        self.to_local = nn.Sequential(
            nn.Conv1d(n_inputs, n_locals, 1, groups=self.n_groups, bias=False),
            nn.BatchNorm1d(n_locals),
            nn.ReLU(),
        )
        self.to_hidden = nn.Sequential(
            nn.Linear(n_locals, hidden_units, bias=False),
            nn.BatchNorm1d(hidden_units),
            nn.ReLU(),
        )
        self.to_code = nn.Linear(hidden_units, n_components)
        self.register_buffer("column", self.place_columns(), persistent=False)

    column: Tensor

    def place_columns(self) -> Tensor:
        """Return which column stands at each place of the padded groups; a last one holds zeros.

        On the CPU, also where modules are built without memory: it is in no state dict.
        """
        groups = torch.arange(self.n_features, device="cpu").tensor_split(self.n_groups)
        padded = [
            pad(group, (0, self.group_size - len(group)), value=self.n_features) for group in groups
        ]
        return torch.cat(padded)

    def forward(self, x: Tensor) -> Features:
        """Encode.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)

        Returns
        -------
        Features
            With ``local`` and ``conv`` of shape (n, local_units, n_groups).
        """
        padded = pad(x, (0, 1))[:, self.column]
        flat = self.to_local(padded[:, :, None])  # (n, n_groups * local_units, 1)
        # Not len(x), which an exporter would take for a fixed number.
        local = flat.reshape(x.shape[0], self.n_groups, -1).mT
        hidden = self.to_hidden(flat.flatten(1))
        return Features(local, local, hidden, self.to_code(hidden))
