"""An encoder of vectors whose local features each depend on one group of columns."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from skdim.encoders.layers import Features, Shape, check_vectors


class MLPEncoder(nn.Module):
    """Encode vectors by a multilayer perceptron over groups of columns.

    Consecutive columns form groups of about equal size. Each group has its own layer, whose output
    is one local feature: the counterpart of an image's locations.

    Parameters
    ----------
    input_shape : tuple of one int
        ``(n_features,)``.
    n_components : int
        Size of the code.
    n_groups : int, default=8
        Number of groups, at most the number of columns.
    local_units : int, default=64
        Size of a local feature.
    hidden_units : int, default=256
        Size of the hidden layer.
    """

    column: Tensor

    def __init__(
        self,
        input_shape: Shape,
        n_components: int,
        *,
        n_groups: int = 8,
        local_units: int = 64,
        hidden_units: int = 256,
    ) -> None:
        super().__init__()
        check_vectors("mlp", input_shape)
        (self.n_features,) = input_shape
        self.n_groups = min(n_groups, self.n_features)
        # Not in the state dict, and so on the CPU also where modules are built on "meta".
        groups = torch.arange(self.n_features, device="cpu").tensor_split(self.n_groups)
        columns = pad_sequence(list(groups), batch_first=True, padding_value=self.n_features)
        n_locals = self.n_groups * local_units
        self.to_local = nn.Sequential(
            nn.Conv1d(columns.numel(), n_locals, 1, groups=self.n_groups, bias=False),
            nn.BatchNorm1d(n_locals),
            nn.ReLU(),
        )
        self.to_hidden = nn.Sequential(
            nn.Linear(n_locals, hidden_units, bias=False), nn.BatchNorm1d(hidden_units), nn.ReLU()
        )
        self.to_code = nn.Linear(hidden_units, n_components)
        # Column at each place of the padded groups; the one past the last contains zeros.
        self.register_buffer("column", columns.flatten(), persistent=False)

    def forward(self, x: Tensor) -> Features:
        """Encode vectors (n, n_features).

        ``local`` and ``conv`` have shape (n, local_units, n_groups).
        """
        padded = pad(x, (0, 1))[:, self.column]
        flat = self.to_local(padded[:, :, None])  # (n, n_groups * local_units, 1)
        # Not len(x), which an export would fix.
        local = flat.reshape(x.shape[0], self.n_groups, -1).mT
        hidden = self.to_hidden(flat.flatten(1))
        return Features(local, local, hidden, self.to_code(hidden))
