"""Several looks at each image with random crops, shifts, brightness and colours."""

from dataclasses import dataclass
from typing import Self

from torch import Generator, Tensor

from skdim.views.base import (
    Pairs,
    check_image_batch,
    check_shares,
    cropped,
    factors,
    grey_of,
    shifted,
    sometimes,
    turned,
)


@dataclass(frozen=True)
class Augment:
    """Draw several looks at each image, with different shifts, brightness and colours.

    By default, the code of each look is compared with the local features of the other (AMDIM).
    Changes are applied in the order: mirror, crop, shift, contrast, brightness, saturation, hue,
    grey.

    Parameters
    ----------
    shift : float, default=0.0625
        Maximal shift, as a share of the side, at least one pixel unless 0; borders are reflected.
    brightness : float, default=0.2
        Pixel values are multiplied by a factor in ``[1 - brightness, 1 + brightness]``.
    contrast : float, default=0.2
        Differences from the image's mean are multiplied by such a factor.
    flip : bool, default=False
        Whether half of the looks are mirrored left to right; not for digits and letters.
    same_flip : bool, default=False
        Whether all looks at an image are mirrored together.
    saturation : float, default=0.0
        Differences from the pixel's grey are multiplied by such a factor.
    hue : float, default=0.0
        Colours are rotated about the grey axis by at most this share of a turn in either
        direction. A turn of 1/3 maps red to green, green to blue and blue to red.
    grey : float, default=0.0
        Probability of a grey look: ``0.299 R + 0.587 G + 0.114 B`` in all channels.
    shift_chance : float, default=1.0
        Probability of a shift.
    crop : float, default=1.0
        Smallest share of the area that is cropped and resized to the whole image; 1 is no crop.
    n_looks : int, default=2
        Number of looks at each image.
    pairs : tuple of (int, int), default=None
        ``(look of the code, look of the local features)``; None compares each look with all others.
    jitter_chance : float, default=1.0
        Probability of changes of contrast, brightness, saturation and hue.

    Notes
    -----
    ``saturation``, ``hue`` and ``grey`` are for images of three channels: red, green and blue.
    Images of one channel are unchanged; other numbers of channels are an error. Hue is rotated in
    RGB space, not in HSV; both agree at thirds of a turn.

    kornia 0.9 takes 3.4 times as long (two cores, torch 2.13, 64 images of 3x32x32, AMDIM's
    strengths), and draws from torch's global generator.

    References
    ----------
    Bachman, Hjelm and Buchwalter (2019). Learning representations by maximizing mutual
    information across views. NeurIPS. arXiv:1906.00910.
    """

    shift: float = 0.0625
    brightness: float = 0.2
    contrast: float = 0.2
    flip: bool = False
    same_flip: bool = False
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    shift_chance: float = 1.0
    jitter_chance: float = 1.0
    crop: float = 1.0
    n_looks: int = 2
    pairs: Pairs | None = None

    def __post_init__(self) -> None:
        """Validate the parameters."""
        strengths = ("shift", "brightness", "contrast", "saturation", "grey", "crop")
        check_shares(self, *strengths, "shift_chance", "jitter_chance")
        check_shares(self, "hue", limit=0.5)
        if self.n_looks < 1:
            raise ValueError(f"Augment(n_looks={self.n_looks}): n_looks must be at least 1.")

    @classmethod
    def crops(cls, *, colours: bool) -> Self:
        """Return the view for the closed form of InfoMax: random crops with moderate jitter.

        Crops have at least 70 % of the area; 80 % of them have brightness and contrast changed by
        up to 0.2, with colours also saturation, and a fifth of the looks are grey. There are two
        looks, with colours three.

        Parameters
        ----------
        colours : bool
            Whether images have three channels.
        """
        return cls(
            shift=0.0,
            crop=0.7,
            brightness=0.2,
            contrast=0.2,
            saturation=0.2 if colours else 0.0,
            grey=0.2 if colours else 0.0,
            jitter_chance=0.8,
            n_looks=3 if colours else 2,
        )

    @classmethod
    def amdim(cls) -> Self:
        """Return the strengths of AMDIM's code for CIFAR-10.

        References
        ----------
        P. Bachman, amdim-public (2019), class ``TransformsC10``. There the jitter is in random
        order, hue is rotated in HSV, and values are clipped.
        """
        return cls(
            shift=0.125,
            brightness=0.4,
            contrast=0.4,
            flip=True,
            same_flip=True,
            saturation=0.4,
            hue=0.2,
            grey=0.25,
            shift_chance=0.8,
            jitter_chance=0.8,
        )

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Draw looks (n, C, H, W) at images ``x``, of floats on the generator's device.

        Raises a ValueError if samples are not images, or colours are to be changed in other than 1
        or 3 channels.
        """
        check_image_batch(self, x)
        if (self.saturation or self.hue or self.grey) and x.shape[1] not in (1, 3):
            raise ValueError(
                "saturation, hue and grey of Augment are for images of 3 channels (red, green, "
                f"blue) or 1, but these have {x.shape[1]}. Set them to 0."
            )
        if self.flip and self.same_flip:
            x = sometimes(0.5, x.flip(3), x, generator)
        return tuple(self.look(x, generator) for _ in range(self.n_looks))

    def look(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw one look."""
        if self.flip and not self.same_flip:
            x = sometimes(0.5, x.flip(3), x, generator)
        if self.crop < 1:
            x = cropped(x, self.crop, generator)
        if self.shift:
            x = sometimes(self.shift_chance, shifted(x, self.shift, generator), x, generator)
        x = sometimes(self.jitter_chance, self.jittered(x, generator), x, generator)
        if self.grey and x.shape[1] == 3:
            x = sometimes(self.grey, grey_of(x).expand_as(x), x, generator)
        return x

    def jittered(self, x: Tensor, generator: Generator) -> Tensor:
        """Change brightness and colours of each image by random factors."""
        if self.contrast:
            mean = x.mean(dim=(1, 2, 3), keepdim=True)
            x = mean + (x - mean) * factors(x, self.contrast, generator)
        if self.brightness:
            x = x * factors(x, self.brightness, generator)
        if x.shape[1] != 3:
            return x
        if self.saturation:
            grey = grey_of(x)
            x = grey + (x - grey) * factors(x, self.saturation, generator)
        if self.hue:
            x = turned(x, factors(x, self.hue, generator) - 1)
        return x
