"""Data sets of image files, and of images of Pillow."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from skdim.parameters import is_integer, shown, warn_user

ENDINGS = {
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".ppm", ".tif", ".tiff", ".webp"),
}


class Images(Dataset[NDArray[np.uint8]]):
    """Data set of image files and images of Pillow, as RGB images of one height and width."""

    def __init__(self, sources: Sequence[Any], size: tuple[int, int]) -> None:
        self.sources = sources
        self.size = size

    def __len__(self) -> int:
        """Count the images."""
        return len(self.sources)

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        """Read an image as uint8 (3, H, W); raise an OSError if it cannot be read."""
        source = self.sources[number]
        try:
            return read_image(source, self.size)
        except Exception as error:  # depends on the format
            name = repr(str(source)) if isinstance(source, str | Path) else f"Image {number} of X"
            raise OSError(f"{name} cannot be read as an image: {error}") from error


class ImageFolder(Images):
    """Data set of the image files in a folder, as RGB images of one size.

    A transformer that is fitted on it also encodes single files: ``transform`` then takes a path,
    an image of Pillow, or a list or array of these, of any size.

    Parameters
    ----------
    path : str or path
        Folder. It is searched at any depth for files that end in .bmp, .gif, .jpg, .jpeg, .pbm,
        .pgm, .png, .ppm, .tif, .tiff or .webp and are not hidden.
    size : (int, int), default=(32, 32)
        Height and width to which images are scaled, without preserving proportions.
    skip_broken : bool, default=False
        Whether to skip files that cannot be read, with a warning. All files are then read once at
        the beginning. If False, reading such a file raises an OSError with its name.

    Attributes
    ----------
    files : list of Path
        The files in the order of the samples, sorted by name.
    broken : list of Path
        The files that were skipped.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    TypeError
        If ``path`` is not a path.
    NotADirectoryError
        If there is no such folder.
    ValueError
        If it has no images, or none that can be read; or ``size`` is not valid.

    Notes
    -----
    Images are rotated by their EXIF orientation. The first image of a file with several is read.
    Large JPEG files are decoded at a reduced size, at least twice ``size``.
    """

    def __init__(
        self, path: str | Path, size: tuple[int, int] = (32, 32), *, skip_broken: bool = False
    ) -> None:
        pillow()
        if not isinstance(path, str | PathLike):
            raise TypeError(
                f"path={shown(path)} must be a folder, as a str or a path. For some of its files, "
                "pass torch.utils.data.Subset(ImageFolder(path), numbers)."
            )
        folder = Path(path)
        if not folder.is_dir():
            raise NotADirectoryError(f"There is no folder {str(folder)!r}.")
        # The parts of paths sort equally on all systems.
        files = sorted(find_images(folder), key=lambda file: file.relative_to(folder).parts)
        super().__init__(files, check_size(size))
        if not self.files:
            raise ValueError(
                f"There are no images below {str(folder)!r}: no file ends in "
                f"{', '.join(sorted(ENDINGS))}."
            )
        self.broken: list[Path] = []
        if skip_broken:
            self.leave_out_broken()

    @property
    def files(self) -> Sequence[Path]:
        """The files in the order of the samples."""
        return self.sources

    def leave_out_broken(self) -> None:
        """Read all files, and skip those that cannot be read; warn if there are any."""
        readable = []
        for number, file in enumerate(self.files):
            try:
                self[number]
            except OSError:
                self.broken.append(file)
            else:
                readable.append(file)
        if not readable:
            raise ValueError(f"None of the {len(self.files)} images can be read.")
        self.sources = readable
        if self.broken:
            listed = ", ".join(repr(str(file)) for file in self.broken[:5])
            more = f" and {len(self.broken) - 5} more" * (len(self.broken) > 5)
            warn_user(
                f"{len(self.broken)} files cannot be read as images, and are skipped: "
                f"{listed}{more}.",
            )


def as_images(X: Any, size: tuple[int, int]) -> Any:
    """Return paths and images of Pillow as a data set, scaled to (height, width).

    That is a path of an image or of a folder, an image of Pillow, or a list or array with one axis
    of paths of images and images of Pillow. Anything else is returned as it is.
    """
    # An empty path would be the current folder.
    if isinstance(X, str | Path) and str(X) and Path(X).is_dir():
        return ImageFolder(X, size)
    several = isinstance(X, list | tuple) or len(getattr(X, "shape", ())) == 1
    sources = list(X) if several else [X]
    return Images(sources, size) if sources and all(map(is_source, sources)) else X


def is_source(value: object) -> bool:
    """Return whether a value is a path or an image of Pillow."""
    if isinstance(value, str | Path):
        return bool(str(value))
    pillow_images = sys.modules.get("PIL.Image")  # Without it, there are no such images.
    return pillow_images is not None and isinstance(value, pillow_images.Image)


def read_image(source: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read a file, or an image of Pillow, as RGB of shape (3, H, W)."""
    image_module, operations = pillow()
    height, width = size
    is_open = isinstance(source, image_module.Image)
    with nullcontext(source) if is_open else image_module.open(source) as image:
        if image.mode.startswith(("I", "F")):
            # Pillow would clip pixels above 255.
            raise ValueError(
                f"its pixels are of mode {image.mode!r}, with more than 8 bits per channel. "
                "Convert it, or use a Dataset of your own."
            )
        if not is_open:
            longest = max(size)  # Height and width may be exchanged by the rotation.
            image.draft(None, (2 * longest, 2 * longest))
        upright = operations.exif_transpose(image).convert("RGB")
        scaled = upright.resize((width, height), image_module.Resampling.BICUBIC)
    return np.ascontiguousarray(np.moveaxis(np.asarray(scaled), -1, 0))


def find_images(folder: Path) -> Iterator[Path]:
    """Yield the image files of a folder, unsorted."""
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS:
                yield Path(path, name)


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
