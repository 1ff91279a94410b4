"""What was fitted on a folder of images encodes single files and images of Pillow."""

import pickle

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import train_test_split
from torch.utils.data import Subset

import skdim
from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer
from skdim.inputs import ImageFolder, Stream


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("photographs")
    draws = np.random.default_rng(0)
    for number in range(30):
        pixels = draws.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{number:02}.png")
    return ImageFolder(path, size=(12, 16))


@pytest.fixture(scope="module")
def fitted(folder):
    return DeepInfoMaxTransformer(4, random_state=0).fit(folder)


def test_a_path_an_image_and_lists_of_them_give_the_codes_of_the_folder(folder, fitted):
    codes = fitted.transform(folder)
    first, second = folder.files[:2]
    with Image.open(first) as image:
        for given in (first, str(first), image, [first], [image]):
            assert np.array_equal(fitted.transform(given), codes[:1])
        assert np.array_equal(fitted.transform([image, str(second)]), codes[:2])
    assert np.array_equal(fitted.transform(str(first.parent)), codes)
    assert np.array_equal(fitted.encode(first).numpy(), codes[:1])


@pytest.mark.parametrize(
    "container",
    [
        lambda files: np.array(list(map(str, files))),
        lambda files: np.array(files, dtype=object),
        lambda files: np.array([str(files[0]), *files[1:]], dtype=object),
        lambda files: pd.Series(list(map(str, files))),
    ],
    ids=["strings", "paths", "both", "series"],
)
def test_arrays_of_paths_are_read_as_lists_of_them(folder, fitted, container):
    paths = container(folder.files)
    assert np.array_equal(fitted.transform(paths), fitted.transform(folder))
    assert fitted.score(paths) == fitted.score(folder)
    held_out = train_test_split(paths, np.arange(len(paths)), random_state=0)
    assert np.array_equal(fitted.transform(held_out[1]), fitted.transform(folder)[held_out[3]])


def test_a_classifier_of_a_fitted_transformer_learns_from_an_array_of_paths(folder, fitted):
    paths, labels = np.array(list(map(str, folder.files))), np.arange(len(folder)) % 2
    classifier = DeepInfoMaxClassifier.from_transformer(fitted, random_state=0)
    expected = classifier.fit(folder, labels).predict_proba(folder)
    assert np.array_equal(classifier.fit(paths, labels).predict_proba(paths), expected)


def test_a_part_of_a_folder_counts_as_one(folder):
    dim = DeepInfoMaxTransformer(4, random_state=0).fit(Stream(Subset(folder, range(20))))
    assert dim.transform(folder.files[25]).shape == (1, 4)


def test_pickles_and_files_read_images_too(folder, fitted, tmp_path):
    fitted.save(tmp_path / "dim.skdim")
    for kept in (pickle.loads(pickle.dumps(fitted)), skdim.load(tmp_path / "dim.skdim")):
        assert np.array_equal(kept.transform(folder.files[3]), fitted.transform(folder)[3:4])


def test_a_stream_of_a_folder_counts_as_one(folder):
    dim = DeepInfoMaxTransformer(4, random_state=0).fit(Stream(folder))
    assert dim.transform(folder.files[0]).shape == (1, 4)


def test_a_later_fit_on_arrays_reads_no_files(folder):
    dim = DeepInfoMaxTransformer(4, random_state=0).fit(folder)
    dim.fit(np.stack([folder[i] for i in range(len(folder))]))
    with pytest.raises(TypeError, match=r"X is of type .*Path.*ImageFolder\(path"):
        dim.transform(folder.files[0])


def test_a_missing_and_a_broken_file_are_named(fitted, tmp_path):
    with pytest.raises(OSError, match=r"gone\.png.*cannot be read as an image"):
        fitted.transform(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(OSError, match=r"text\.png.*cannot be read as an image"):
        fitted.transform([tmp_path / "text.png"])


def test_fit_on_a_path_points_to_the_folder(folder):
    with pytest.raises(TypeError, match=r"skdim\.inputs\.ImageFolder\(path, size"):
        DeepInfoMaxTransformer(4).fit(str(folder.files[0].parent))


def test_a_classifier_predicts_for_a_file(folder):
    labels = np.arange(len(folder)) % 2
    classifier = DeepInfoMaxClassifier(DeepInfoMaxTransformer(4, random_state=0), random_state=0)
    classifier.fit(folder, labels)
    assert classifier.predict(folder.files[0]).shape == (1,)
