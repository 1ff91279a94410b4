"""Data set of the image files in a folder."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from skdim.parameters import is_integer, shown

__all__ = ["ImageFolder"]

ENDINGS = {
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".ppm", ".tif", ".tiff", ".webp"),
}


class ImageFolder(Dataset[NDArray[np.uint8]]):
    """Data set of the image files in a folder, as RGB images of one size.

    Parameters
    ----------
    path : str or path
        Folder. It is searched at any depth for files that end in .bmp, .gif, .jpg, .jpeg, .pbm,
        .pgm, .png, .ppm, .tif, .tiff or .webp and are not hidden.
    size : (int, int), default=(32, 32)
        Height and width to which images are scaled, without preserving proportions.

    Attributes
    ----------
    files : list of Path
        The files in the order of the samples, sorted by name.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    NotADirectoryError
        If there is no such folder.
    ValueError
        If it has no images, or ``size`` is not valid.

    Notes
    -----
    Images are rotated by their EXIF orientation. Of files with several images, the first is read.
    Large JPEG files are decoded at a reduced size, at least twice ``size``.
    """

    def __init__(self, path: str | Path, size: tuple[int, int] = (32, 32)) -> None:
        pillow()
        folder = Path(path)
        if not folder.is_dir():
            raise NotADirectoryError(f"There is no folder {str(folder)!r}.")
        self.size = check_size(size)
        # The parts of paths sort equally on all systems.
        self.files = sorted(find_images(folder), key=lambda file: file.relative_to(folder).parts)
        if not self.files:
            raise ValueError(
                f"There are no images below {str(folder)!r}: no file ends in "
                f"{', '.join(sorted(ENDINGS))}."
            )

    def __len__(self) -> int:
        """Count the images."""
        return len(self.files)

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        """Read an image as uint8 (3, H, W); raise an OSError if it cannot be read."""
        file = self.files[number]
        try:
            return read_image(file, self.size)
        except Exception as error:  # depends on the format
            raise OSError(f"{str(file)!r} cannot be read as an image: {error}") from error


def read_image(file: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read a file as RGB of shape (3, H, W)."""
    image_module, operations = pillow()
    height, width = size
    with image_module.open(file) as image:
        if image.mode.startswith(("I", "F")):
            # Pillow would clip pixels above 255.
            raise ValueError(
                f"its pixels are of mode {image.mode!r}, with more than 8 bits per channel. "
                "Convert it, or use a Dataset of your own."
            )
        longest = max(size)  # Height and width may be exchanged by the rotation.
        image.draft(None, (2 * longest, 2 * longest))
        upright = operations.exif_transpose(image).convert("RGB")
        scaled = upright.resize((width, height), image_module.Resampling.BICUBIC)
    return np.ascontiguousarray(np.moveaxis(np.asarray(scaled), -1, 0))


def find_images(folder: Path) -> Iterator[Path]:
    """Yield the image files of a folder, unsorted."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS:
                yield Path(place, name)


def check_size(size: object) -> tuple[int, int]:
    """Return a height and a width; raise a ValueError for any other value."""
    sides = tuple(size) if isinstance(size, tuple | list) else ()
    if len(sides) != 2 or not all(is_integer(side, 1) for side in sides):
        raise ValueError(
            f"size={shown(size)} must be (height, width), two positive integers below 2**31."
        )
    return int(sides[0]), int(sides[1])


def pillow() -> tuple[Any, Any]:
    """Return the modules Image and ImageOps of Pillow, an optional package."""
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise ImportError(
            "ImageFolder needs Pillow, which is not installed. Install it with: "
            "pip install 'scikit-deepinfomax[images]'"
        ) from error
    return Image, ImageOps
