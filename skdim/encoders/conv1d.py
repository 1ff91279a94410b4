"""An encoder of signals: channels over one axis, such as time."""

import math
from typing import ClassVar

from torch import nn

from skdim.encoders.layers import Shape, Stages, check_signals, hidden_layer

# Channels of the first map for long signals, and of the last map.
MIN_CHANNELS = 16
MAX_CHANNELS = 512
# Positions of the last map for long signals; the local features have twice as many.
POSITIONS = 16


class Conv1dEncoder(Stages):
    """Encode signals by strided convolutions along their length.

    The one-dimensional form of the paper's encoder: convolutions of size 4 and stride 2 with 64,
    128 and 256 channels, a hidden layer of 1,024 and a linear code. Each doubling of the length
    beyond 128 adds a convolution: first one of 512 channels at the end, then narrower ones at the
    beginning, each of half as many channels as the next, but at least 16. So the cost hardly grows
    with the length beyond 256. The local features, of about 32 positions, are the input of the last
    convolution.

    With ``encoder="conv1d"``, a 3-D ``X`` is read as signals (n, C, L), with ``channel_axis=-1`` as
    (n, L, C), and a 2-D one as signals of one channel.

    Parameters
    ----------
    input_shape : tuple of two int
        ``(C, L)``, with a length of at least 8.
    n_components : int
        Size of the code.
    hidden_units : int, default=1024
        Size of the hidden layer.

    References
    ----------
    Hjelm et al. (2019), arXiv:1808.06670, for the two-dimensional form. Donahue, McAuley and
    Puckette (2019). Adversarial audio synthesis. ICLR. arXiv:1802.04208.
    """

    takes_signals: ClassVar[bool] = True

    def __init__(self, input_shape: Shape, n_components: int, *, hidden_units: int = 1024) -> None:
        super().__init__()
        channels, length = check_signals("conv1d", input_shape)
        stages: list[nn.Module] = []
        n_stages = max(3, round(math.log2(length / POSITIONS)))
        last = min(64 * 2 ** (n_stages - 1), MAX_CHANNELS)
        for i in reversed(range(n_stages)):
            wider = max(last // 2**i, MIN_CHANNELS)
            stages.append(
                nn.Sequential(
                    nn.Conv1d(channels, wider, 4, stride=2, padding=1, bias=False),
                    nn.BatchNorm1d(wider),
                    nn.ReLU(inplace=True),
                )
            )
            channels, length = wider, length // 2
        self.to_local = nn.Sequential(*stages[:-1])
        self.to_conv = stages[-1]
        self.to_hidden = hidden_layer(channels * length, hidden_units)
        self.to_code = nn.Linear(hidden_units, n_components)
