"""A folder of image files is a data set of colour images of one size, in an order of names."""

import pickle
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from skdim.inputs import ImageFolder, Stream, as_images
from tests.inputs.datasets import open_stream


def draw(height=40, width=60, seed=0, channels=3):
    """Draw a smooth picture: what survives scaling and JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, channels)).astype(np.uint8)
    picture = Image.fromarray(coarse.squeeze())
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def save(picture, path, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **how)
    return path


NAMES = ["a/2.png", "a/10.PNG", "b.png", "a-b/1.png", "B/0.bmp"]
# By the parts of the path: capitals first, and a folder's files together.
SORTED = ["B/0.bmp", "a/10.PNG", "a/2.png", "a-b/1.png", "b.png"]


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(NAMES):
        save(draw(seed=seed), tmp_path / name)
    return tmp_path


def test_files_are_sorted_by_name_at_any_depth(folder):
    images = ImageFolder(folder)

    assert [file.relative_to(folder).as_posix() for file in images.files] == SORTED
    assert len(images) == 5


def test_images_are_scaled_as_bytes_with_channels_first(folder):
    images = ImageFolder(folder, size=(8, 12))
    for name, image in zip(SORTED, images, strict=False):
        scaled = draw(seed=NAMES.index(name)).resize((12, 8), Image.Resampling.BICUBIC)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert np.array_equal(image, np.moveaxis(np.asarray(scaled), -1, 0))
    assert ImageFolder(str(folder))[0].shape == (3, 32, 32)


def test_files_that_are_no_images_and_hidden_ones_are_left_out(folder):
    (folder / "labels.csv").write_text("a,b")
    (folder / "png").write_text("no ending")
    (folder / "folder.png").mkdir()
    save(draw(), folder / ".thumbnails/0.png")
    save(draw(), folder / "._0.png")

    assert len(ImageFolder(folder)) == 5


def test_a_hidden_folder_may_be_the_one_that_is_asked_for(tmp_path):
    save(draw(), tmp_path / ".cache/0.png")

    assert len(ImageFolder(tmp_path / ".cache")) == 1


@pytest.mark.parametrize("ending", ["bmp", "gif", "jpg", "jpeg", "png", "ppm", "tif", "webp"])
def test_every_format_is_read(ending, tmp_path):
    save(draw(), tmp_path / f"image.{ending}")
    image = ImageFolder(tmp_path, size=(40, 60))[0]
    difference = image.astype(float) - np.moveaxis(np.asarray(draw()), -1, 0)

    assert image.shape == (3, 40, 60)
    assert abs(difference).mean() < 12  # Some keep only 256 colours, or not all details.


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_every_kind_of_colour_is_read_as_rgb(mode, tmp_path):
    given = draw().convert(mode)
    save(given, tmp_path / f"image.{'tif' if mode == 'CMYK' else 'png'}")
    image = ImageFolder(tmp_path, size=(40, 60))[0]

    assert np.array_equal(image, np.moveaxis(np.asarray(given.convert("RGB")), -1, 0))


def test_photographs_are_turned_upright(tmp_path):
    turned = draw().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6  # "turn by 270 degrees against the clock to see it upright"
    save(turned, tmp_path / "photo.png", exif=exif)
    image = ImageFolder(tmp_path, size=(40, 60))[0]

    assert np.array_equal(image, np.moveaxis(np.asarray(draw()), -1, 0))


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_photographs_are_decoded_small_and_look_the_same(orientation, tmp_path, monkeypatch):
    large = draw(800, 1200)
    exif = Image.Exif()
    exif[274] = orientation
    save(large, tmp_path / "photo.jpg", quality=95, exif=exif)
    seen = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, *how: seen.append(self.size) or resize(self, *how)
    )
    image = ImageFolder(tmp_path, size=(32, 48))[0]
    monkeypatch.undo()
    upright = large if orientation == 1 else large.transpose(Image.Transpose.ROTATE_270)
    plain = np.asarray(upright.resize((48, 32), Image.Resampling.BICUBIC))

    assert max(seen[0]) < 600
    assert min(seen[0]) >= 2 * 32
    assert abs(image.astype(float) - np.moveaxis(plain, -1, 0)).mean() < 2


def test_labels_come_from_the_names_of_files(folder):
    assert [file.parent.name for file in ImageFolder(folder).files][:3] == ["B", "a", "a"]


def test_a_folder_goes_to_workers(folder):
    images = ImageFolder(folder)
    numbers = [torch.tensor([4, 0]), torch.tensor([2])]
    read = torch.cat(list(open_stream(Stream(images, 1)).read(numbers, torch.Generator())))

    assert np.array_equal(read, np.stack([images[i] for i in (4, 0, 2)]))
    assert np.array_equal(pickle.loads(pickle.dumps(images))[3], images[3])


# ---------------------------------------------------------------------------------------------
# What is refused


@pytest.mark.parametrize("how", ["text", "cut", "empty", "gone"])
@pytest.mark.parametrize("name", ["a/2.png", "a/photo.jpg"])
def test_a_file_that_cannot_be_read_is_named(folder, how, name):
    file = save(draw(), folder / name)
    images = ImageFolder(folder)
    content = {"text": b"no image", "cut": file.read_bytes()[:300], "empty": b""}
    file.unlink() if how == "gone" else file.write_bytes(content[how])
    with pytest.raises(OSError, match=r"cannot be read as an image: .+") as raised:
        images[images.files.index(file)]

    assert str(file) in str(raised.value)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_pixels_of_more_than_a_byte_are_refused_instead_of_cut(dtype, tmp_path):
    file = save(Image.fromarray(np.full((4, 4), 300, dtype)), tmp_path / "x-ray.tif")
    with pytest.raises(OSError, match=r"more than 8 bits per channel\. Convert it") as raised:
        ImageFolder(tmp_path)[0]

    assert str(file) in str(raised.value)


def test_a_folder_without_images_is_refused(folder):
    for name in NAMES:
        (folder / name).unlink()
    (folder / "notes.txt").write_text("none")
    with pytest.raises(ValueError, match=r"no images below .* no file ends in \.bmp, ") as e:
        ImageFolder(folder)

    assert str(folder) in str(e.value)


@pytest.mark.parametrize("name", ["missing", "b.png"])
def test_what_is_no_folder_is_refused(folder, name):
    with pytest.raises(NotADirectoryError, match=f"no folder .*{name}"):
        ImageFolder(folder / name)


@pytest.mark.parametrize("path", [None, ["a.png", "b.png"], 3])
def test_what_is_no_path_is_refused_by_what_to_give(path):
    with pytest.raises(TypeError, match=r"path=.* must be a folder.*Subset\(ImageFolder\(path\)"):
        ImageFolder(path)


@pytest.mark.parametrize("size", [32, (32,), (3, 32, 32), (0, 32), (32.0, 32), "ab", None])
def test_what_is_no_size_is_refused(folder, size):
    with pytest.raises(ValueError, match=r"must be \(height, width\), two positive integers"):
        ImageFolder(folder, size=size)


def test_a_file_that_went_missing_later_is_named_by_fit(folder):
    images = ImageFolder(folder)
    shutil.rmtree(folder / "a")
    with pytest.raises(OSError, match=r"10\.PNG"):
        list(open_stream(Stream(images)).read([torch.arange(5)], torch.Generator()))


def test_pillow_is_asked_for_where_it_is_missing(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'scikit-deepinfomax\[images\]'"):
        ImageFolder(folder)


def damage(folder, name="broken.png"):
    """Write a file that begins as an image, and is cut off."""
    save(draw(), folder / name)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    return folder / name


def test_broken_files_are_left_out_and_named_on_request(tmp_path):
    for number in range(3):
        save(draw(), tmp_path / f"{number}.png")
    broken = damage(tmp_path)
    with pytest.warns(UserWarning, match=r"1 files cannot be read.*broken\.png"):
        folder = ImageFolder(tmp_path, skip_broken=True)
    assert folder.broken == [broken]
    assert [file.name for file in folder.files] == ["0.png", "1.png", "2.png"]
    assert len(folder) == 3
    with pytest.raises(OSError, match=r"broken\.png.*cannot be read as an image"):
        ImageFolder(tmp_path)[3]


def test_a_folder_of_broken_files_alone_is_an_error(tmp_path):
    damage(tmp_path)
    with pytest.raises(ValueError, match="None of the 1 images"):
        ImageFolder(tmp_path, skip_broken=True)


def test_paths_and_images_of_pillow_are_read_as_the_folder_reads_them(tmp_path):
    save(draw(), tmp_path / "0.png")
    expected = ImageFolder(tmp_path, size=(7, 9))[0]
    file = tmp_path / "0.png"
    with Image.open(file) as image:
        for given in (file, str(file), image, [file], [str(file), image], (image,), str(tmp_path)):
            read = as_images(given, (7, 9))
            assert all(np.array_equal(read[i], expected) for i in range(len(read)))


@pytest.mark.parametrize(
    "X",
    [
        *(np.zeros((2, 3, 4, 4)), [np.zeros((3, 4, 4))], [], None, "", [""]),
        *(np.array([]), np.zeros(3), np.array(3.0), np.array([["a.png"]]), torch.zeros(3)),
    ],
    ids=str,
)
def test_what_is_neither_is_left_as_it_is(X):
    assert as_images(X, (4, 4)) is X
