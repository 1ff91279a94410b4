"""The convolutional encoder of the Deep InfoMax paper."""

import math

from torch import Tensor, nn

from skdim.encoders.features import Features

__all__ = ["DCGANEncoder"]


class DCGANEncoder(nn.Module):
    """Encode images by strided 4x4 convolutions, after DCGAN's discriminator.

    For 32x32 images this is the encoder of the paper's Table 1: 64, 128 and 256 channels,
    the 128x8x8 map of local features, a hidden layer of 1,024 and a linear code; 4,921,280
    parameters for three channels and 64 components. 64x64 images get a fourth convolution, as
    in the reference code; each further doubling of the shorter side another, of at most 512
    channels.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 8.
    n_components : int
        Size of the code.
    hidden_units : int, default=1024
        Size of the hidden layer.

    References
    ----------
    Hjelm et al. (2019). Learning deep representations by mutual information estimation and
    maximization. ICLR. arXiv:1808.06670. Layers as in its public code, configuration
    ``basic32x32``.
    """

    def __init__(
        self, input_shape: tuple[int, ...], n_components: int, *, hidden_units: int = 1024
    ) -> None:
        super().__init__()
        if len(input_shape) != 3 or min(input_shape[1:]) < 8:
            raise ValueError(
                "encoder='dcgan' encodes images (C, H, W) of at least 8x8 pixels, but the samples "
                f"have shape {input_shape}. Enlarge the images, or encode their pixels as "
                "vectors: flat rows without image_shape, and encoder='mlp'."
            )
        channels, height, width = input_shape
        n_stages = max(3, round(math.log2(min(height, width) / 4)))
        stages = []
        for i in range(n_stages):
            wider = min(64 * 2**i, 512)
            stages.append(
                nn.Sequential(
                    nn.Conv2d(channels, wider, 4, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(wider),
                    nn.ReLU(),
                )
            )
            channels, height, width = wider, height // 2, width // 2
        self.to_local = nn.Sequential(*stages[:-1])
        self.to_conv = stages[-1]
        self.to_hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, hidden_units, bias=False),
            nn.BatchNorm1d(hidden_units),
            nn.ReLU(),
        )
        self.to_code = nn.Linear(hidden_units, n_components)

    def forward(self, x: Tensor) -> Features:
        """Encode.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)

        Returns
        -------
        Features
        """
        local = self.to_local(x)
        conv = self.to_conv(local)
        hidden = self.to_hidden(conv)
        return Features(local, conv, hidden, self.to_code(hidden))
