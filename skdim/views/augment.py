"""Two looks at each image, moved, lit and coloured differently."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Generator, Tensor

from skdim.views.base import Pairs, check_image_batch, check_share
from skdim.views.pixels import cropped, factors, grey_of, shifted, sometimes, turned

__all__ = ["Augment"]


@dataclass(frozen=True)
class Augment:
    """Draw two views of each image, each shifted and lit differently.

    The code of either look is compared with the local features of the other (AMDIM). What is done,
    in this order: mirror, crop, shift, contrast, brightness, saturation, hue, grey.

    Parameters
    ----------
    shift : float, default=0.0625
        Largest shift, as a share of the side; borders are reflected. At least one pixel unless 0.
    brightness : float, default=0.2
        Pixel values are multiplied by a factor from ``[1 - brightness, 1 + brightness]``.
    contrast : float, default=0.2
        Differences from the image's mean are multiplied by a factor likewise.
    flip : bool, default=False
        Whether half of the looks are mirrored left to right. Off, since digits and letters
        change their meaning.
    same_flip : bool, default=False
        Whether both looks at an image are mirrored, or none; else each by itself.
    saturation : float, default=0.0
        Differences of a pixel's colours from its grey are multiplied by a factor likewise.
    hue : float, default=0.0
        Colours are turned about the axis of greys by at most this share of a full turn, either
        way. A turn of 1/3 makes red green, green blue and blue red.
    grey : float, default=0.0
        Probability that a look is made grey: ``0.299 R + 0.587 G + 0.114 B`` in all channels.
    shift_chance : float, default=1.0
        Probability that a look is shifted at all.
    crop : float, default=1.0
        Smallest share of the image's area that a look shows; what it shows is enlarged to the
        size of the image. 1 shows all of it.
    n_looks : int, default=2
        How often each image is looked at.
    pairs : tuple of (int, int), default=None
        ``(look of the code, look of the local features)``; None compares each look with all others.
    jitter_chance : float, default=1.0
        Probability that contrast, brightness, saturation and hue of a look are changed at all.

    Raises
    ------
    ValueError
        If a strength or probability is outside [0, 1] (``hue``: [0, 0.5]).

    Notes
    -----
    ``saturation``, ``hue`` and ``grey`` are for images of three channels, red, green and blue.
    They leave images of one channel as they are, which are grey, and refuse any other number.

    Hue is turned in the colour cube, by three products an image, not in HSV as image libraries do
    it; the two agree at thirds of a turn.

    kornia 0.9, a library of such changes, took 3.4 times as long as this on two cores (torch 2.13,
    64 images of 3x32x32, AMDIM's strengths, both looks: 17.1 ms against 5.0; 2.4 times with what
    is the default here), and draws from torch's global generator, so that it is not used.

    References
    ----------
    Bachman, Hjelm and Buchwalter (2019). Learning representations by maximizing mutual
    information across views. NeurIPS. arXiv:1906.00910.

    Examples
    --------
    >>> from skdim.views import Augment
    >>> Augment(flip=True, hue=0.1).hue
    0.1
    >>> Augment.amdim().grey
    0.25
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

    SHARES: ClassVar[tuple[str, ...]] = (
        *("shift", "brightness", "contrast", "saturation", "grey"),
        *("shift_chance", "jitter_chance", "crop"),
    )

    def __post_init__(self) -> None:
        """Raise an error for strengths out of their range."""
        for name in self.SHARES:
            check_share(self, name)
        check_share(self, "hue", most=0.5)
        if self.n_looks < 1:
            raise ValueError(f"Augment(n_looks={self.n_looks}): n_looks must be at least 1.")

    @classmethod
    def crops(cls, *, colours: bool) -> Self:
        """Return the view for the closed form of InfoMax: random crops, gently lit.

        Crops of 70 % of the area or more, in four of five of them brightness and
        contrast changed by up to 0.2; with colours also saturation, and a fifth of the looks grey.
        Two looks, with colours three.
        Images are not mirrored: the features of colour images are the same for both sides.

        Parameters
        ----------
        colours : bool
            Whether images have three channels.

        Returns
        -------
        Augment
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

        Half of the images mirrored, in both looks alike; in four of five looks a shift by up to an
        eighth of the side; in four of five brightness, contrast and saturation changed by up to
        0.4 and the hue turned by up to a fifth; a quarter of the looks grey.

        Returns
        -------
        Augment

        References
        ----------
        P. Bachman, amdim-public (2019), class ``TransformsC10``. There the jitter comes in a
        random order, hue is turned in HSV, and values are clipped to the range of a byte.
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
        """Draw two views.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
            Floating-point pixel values.
        generator : Generator
            On the device of ``x``.

        Returns
        -------
        tuple of Tensors of shape (n, C, H, W)

        Raises
        ------
        ValueError
            If samples are no images, or their colours are to change and they have none.
        """
        check_image_batch(self, x)
        if self.saturation or self.hue or self.grey:
            check_colours(x)
        if self.flip and self.same_flip:
            x = sometimes(0.5, x.flip(3), x, generator)
        return tuple(self.look(x, generator) for _ in range(self.n_looks))

    def look(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw one view; see ``__call__``."""
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
        """Change the light and the colours of each image by factors of its own."""
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


def check_colours(x: Tensor) -> None:
    """Raise an error for images that are neither grey nor of three colours."""
    if x.shape[1] not in (1, 3):
        raise ValueError(
            "saturation, hue and grey of Augment are for images of 3 channels (red, green, blue) "
            f"or 1, but these have {x.shape[1]}. Set them to 0."
        )
