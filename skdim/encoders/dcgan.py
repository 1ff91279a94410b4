"""The convolutional encoder of the Deep InfoMax paper."""

import math

import torch
from torch import nn

from skdim.encoders.layers import Shape, Stages, check_images, convolution, hidden_layer

MAX_CHANNELS = 512


class DCGANEncoder(Stages):
    """Encode images by strided 4x4 convolutions, after DCGAN's discriminator.

    For 32x32 images this is the encoder of the paper's Table 1: 64, 128 and 256 channels, local
    features of 128x8x8, a hidden layer of 1,024 and a linear code; 4,921,280 parameters and 21.82
    million multiplications for three channels and 64 components. 64x64 images have a fourth
    convolution, as in the reference code (local features 256x8x8, last map 512x4x4); each further
    doubling of the shorter side another one, of at most 512 channels.

    For 28x28 images, local features are 128x7x7 and the last map 256x3x3. The reference's
    ``basic28x28`` is ``partial(DCGANEncoder, kernel_size=5, n_stages=2, local_is_conv=True)``.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 8.
    n_components : int
        Size of the code.
    hidden_units : int, default=1024
        Size of the hidden layer.
    kernel_size : int, default=4
        Side of the filters, which have stride 2.
    n_stages : int, default=None
        Number of convolutions. None is three, and one more for each doubling of the shorter side
        beyond 32.
    local_is_conv : bool, default=False
        Whether the local features are the last map, rather than the one before it.

    References
    ----------
    Hjelm et al. (2019). Learning deep representations by mutual information estimation and
    maximization. ICLR. arXiv:1808.06670. Public code, configurations ``basic28x28``,
    ``basic32x32`` and ``basic64x64``.

    Radford, Metz and Chintala (2016). Unsupervised representation learning with deep
    convolutional generative adversarial networks. ICLR. arXiv:1511.06434.
    """

    def __init__(
        self,
        input_shape: Shape,
        n_components: int,
        *,
        hidden_units: int = 1024,
        kernel_size: int = 4,
        n_stages: int | None = None,
        local_is_conv: bool = False,
    ) -> None:
        super().__init__()
        check_images("dcgan", input_shape)
        channels, height, width = input_shape
        padding = (kernel_size - 1) // 2
        stages = []
        for i in range(n_stages or max(3, round(math.log2(min(height, width) / 4)))):
            wider = min(64 * 2**i, MAX_CHANNELS)
            stages.append(convolution(channels, wider, kernel_size, stride=2, padding=padding))
            channels = wider
            height, width = (
                (side + 2 * padding - kernel_size) // 2 + 1 for side in (height, width)
            )
        n_local = len(stages) if local_is_conv else len(stages) - 1
        self.to_local = nn.Sequential(*stages[:n_local])
        self.to_conv = nn.Identity() if local_is_conv else stages[-1]
        self.to_hidden = hidden_layer(channels * height * width, hidden_units)
        self.to_code = nn.Linear(hidden_units, n_components)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
