"""A decoder of signals: the encoder of signals, mirrored."""

from torch import Tensor, nn

from skdim.decoders.layers import LEAST_SIDE, halvings, n_stages, widths

__all__ = ["Conv1dDecoder"]


class Conv1dDecoder(nn.Module):
    """Decode codes to signals by transposed convolutions of size 4 and stride 2.

    The mirror of :class:`~skdim.encoders.Conv1dEncoder` without its hidden layer: a linear layer
    gives a short map of many channels, and each transposed convolution doubles its length, with
    three of them up to a length of 128 and another for each doubling beyond. Maps are normalised
    over the batch and cut off below zero; the signal is linear. Odd lengths come out exactly.

    Parameters
    ----------
    output_shape : tuple of two int
        ``(C, L)``, with a length of at least 8.
    n_components : int
        Size of a code.

    Raises
    ------
    ValueError
        If that is no shape of signals, or of shorter ones.

    References
    ----------
    Donahue, McAuley and Puckette (2019). Adversarial audio synthesis. ICLR. arXiv:1802.04208.
    """

    def __init__(self, output_shape: tuple[int, ...], n_components: int) -> None:
        super().__init__()
        if len(output_shape) != 2 or output_shape[1] < LEAST_SIDE:
            raise ValueError(
                f"Conv1dDecoder decodes to signals (C, L) of at least {LEAST_SIDE} values a "
                f"channel, not to samples of shape {output_shape}. Take make_decoder, which finds "
                "what fits, or MLPDecoder, which gives any shape."
            )
        channels, length = output_shape
        stages = n_stages(length, smallest=16)
        outer, lengths = [channels, *widths(stages)], halvings(length, stages)
        layers: list[nn.Module] = [
            nn.Linear(n_components, outer[-1] * lengths[-1], bias=False),
            nn.Unflatten(1, (outer[-1], lengths[-1])),
            nn.BatchNorm1d(outer[-1]),
            nn.ReLU(),
        ]
        for i in reversed(range(stages)):
            # What halving an odd length has cut off is put back.
            odd = lengths[i] % 2
            layers.append(
                nn.ConvTranspose1d(
                    outer[i + 1], outer[i], 4, stride=2, padding=1, output_padding=odd, bias=i == 0
                )
            )
            if i > 0:
                layers += [nn.BatchNorm1d(outer[i]), nn.ReLU(inplace=True)]
        self.network = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        """Decode.

        Parameters
        ----------
        code : Tensor of shape (n, n_components)

        Returns
        -------
        Tensor of shape (n, C, L)
        """
        signal: Tensor = self.network(code)
        return signal
