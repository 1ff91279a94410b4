"""Image files below a folder."""

import os
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

__all__ = ["ImageFolder"]

ENDINGS = {
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".ppm", ".tif", ".tiff", ".webp"),
}


class ImageFolder(Dataset[NDArray[np.uint8]]):
    """The image files below a folder, as a data set of colour images of one size.

    Parameters
    ----------
    path : str or path
        Folder. Files at any depth are taken that end in .bmp, .gif, .jpg, .jpeg, .pbm, .pgm,
        .png, .ppm, .tif, .tiff or .webp, in the order of their names; hidden ones are left out.
    size : (int, int), default=(32, 32)
        Height and width to which images are scaled, whatever their proportions.

    Attributes
    ----------
    files : list of Path
        The files in their order: of the samples, and so of labels, where a file's folder or name
        tells one.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    NotADirectoryError
        If there is no such folder.
    ValueError
        If it holds no images, or ``size`` is no size.

    Notes
    -----
    Images are turned upright as the camera noted and read as RGB; of a file with several images,
    such as an animation, the first is taken. Large JPEG files are decoded at a fraction of their
    size, at least twice the wanted one, which is faster.
    """

    def __init__(self, path: str | Path, size: tuple[int, int] = (32, 32)) -> None:
        pillow()
        folder = Path(path)
        if not folder.is_dir():
            raise NotADirectoryError(f"There is no folder {str(folder)!r}.")
        self.size = check_size(size)
        # By the parts of their paths, which sort alike on all systems.
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
        """Read an image.

        Returns
        -------
        ndarray of shape (3, H, W), uint8

        Raises
        ------
        OSError
            If the file cannot be read as an image; the text names it.
        """
        file = self.files[number]
        try:
            return read_image(file, self.size)
        except Exception as error:  # Pillow raises many kinds, by the format
            raise OSError(f"{str(file)!r} cannot be read as an image: {error}") from error


def read_image(file: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read a file as RGB of shape (3, H, W)."""
    image_module, operations = pillow()
    height, width = size
    with image_module.open(file) as image:
        if image.mode.startswith(("I", "F")):
            # Pillow would cut all that is brighter than 255.
            raise ValueError(
                f"its pixels are of mode {image.mode!r}, with more than 8 bits a channel. Write a "
                "Dataset of your own that says what they mean."
            )
        turned = max(size)  # before an image is turned, its height may be its width
        image.draft(None, (2 * turned, 2 * turned))
        upright = operations.exif_transpose(image).convert("RGB")
        scaled = upright.resize((width, height), image_module.Resampling.BICUBIC)
    return np.ascontiguousarray(np.moveaxis(np.asarray(scaled), -1, 0))


def find_images(folder: Path) -> Iterator[Path]:
    """Yield the files that are images by their names, in no particular order."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS:
                yield Path(place, name)


def check_size(size: Any) -> tuple[int, int]:
    """Raise an error unless a value is a height and a width."""
    sides = tuple(size) if isinstance(size, tuple | list) else ()
    whole = [int(side) for side in sides if isinstance(side, Integral)]
    if len(sides) != 2 or len(whole) != 2 or min(whole) < 1:
        raise ValueError(f"size={size!r} must be (height, width), two whole numbers above 0.")
    return whole[0], whole[1]


def pillow() -> tuple[Any, Any]:
    """Import Pillow, an optional package.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise ImportError(
            "ImageFolder reads images with Pillow, which is not installed. Install it with: "
            "pip install 'scikit-deepinfomax[images]'"
        ) from error
    return Image, ImageOps
