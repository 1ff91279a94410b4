"""Errors for data and networks of other kinds name the way that works."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer, EncoderTransformer

IMAGES = np.random.default_rng(0).integers(0, 255, (40, 16, 16)).astype(np.uint8)
BACKBONE = nn.Sequential(nn.Conv2d(1, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Dicts(Dataset):
    """Items with names."""

    def __len__(self):
        return 40

    def __getitem__(self, number):
        return {"image": torch.as_tensor(IMAGES[number]), "label": 0}


@pytest.mark.parametrize(
    ("X", "hint"),
    [
        ("photographs", "skdim.inputs.ImageFolder"),
        (Path("photographs"), "skdim.inputs.ImageFolder"),
        (DataLoader(TensorDataset(torch.as_tensor(IMAGES))), r"X\.dataset.*n_workers"),
        (Dicts(), "Let the data set return the sample alone"),
    ],
)
def test_data_of_other_kinds_name_what_to_give(X, hint):
    with pytest.raises(TypeError, match=hint):
        DeepInfoMaxTransformer().fit(X)


def test_a_bare_backbone_names_the_hooked_encoder():
    with pytest.raises(TypeError, match="HookedEncoder makes an encoder of any network"):
        DeepInfoMaxTransformer(encoder=BACKBONE).fit(IMAGES)


@pytest.mark.parametrize("as_data_set", [False, True])
def test_images_of_another_size_are_refused_in_shapes(as_data_set):
    fitted = DeepInfoMaxTransformer(4, random_state=0).fit(IMAGES)
    larger = np.zeros((3, 20, 20), np.uint8)
    X = TensorDataset(torch.as_tensor(larger)) if as_data_set else larger
    with pytest.raises(ValueError, match=r"samples of shape \(20, 20\).*fitted on.*\(1, 16, 16\)"):
        fitted.transform(X)


@pytest.fixture(scope="module")
def fitted():
    return DeepInfoMaxTransformer(4, random_state=0).fit(IMAGES)


def test_images_of_another_size_are_to_be_scaled_or_fitted(fitted):
    with pytest.raises(ValueError, match=r"Scale or crop .* to that shape, or fit on such samples"):
        fitted.transform(IMAGES[:, :14, :14])


COLOURS = np.random.default_rng(0).integers(0, 255, (30, 8, 9, 3)).astype(np.uint8)


@pytest.mark.parametrize("container", [np.asarray, torch.tensor, np.ndarray.tolist])
@pytest.mark.parametrize("images", [IMAGES, COLOURS], ids=["grey", "colour"])
def test_a_single_image_is_to_be_given_as_an_array_of_one(images, container):
    fitted = DeepInfoMaxTransformer(4, random_state=0).fit(images)
    with pytest.raises(ValueError, match=r"single sample, pass X\[None\] or \[X\]"):
        fitted.transform(container(images[0]))
    assert fitted.transform([images[0]]).shape == (1, 4)


SHARES = (IMAGES / 255).astype(np.float32)


@pytest.mark.parametrize(("seen", "new"), [(SHARES, IMAGES), (IMAGES, SHARES)])
@pytest.mark.parametrize("method", ["transform", "encode", "score", "read_samples", "partial_fit"])
def test_images_in_other_units_than_fitted_draw_a_warning(seen, new, method):
    fitted = DeepInfoMaxTransformer(4, random_state=0).fit(seen)
    with pytest.warns(
        UserWarning, match=r"(255|0\.00392) times .* 0 to 255, or floats from 0 to 1"
    ):
        getattr(fitted, method)(new)


def test_a_classifier_warns_of_images_in_other_units():
    classifier = DeepInfoMaxClassifier(random_state=0).fit(SHARES, np.arange(40) % 2)
    with pytest.warns(UserWarning, match="255 times") as caught:
        classifier.predict(IMAGES)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "new",
    [IMAGES, IMAGES.astype(float), IMAGES // 20, np.zeros_like(IMAGES), 4 * IMAGES.astype(int)],
    ids=["bytes", "floats", "dark", "black", "bright"],
)
def test_images_in_the_same_units_draw_no_warning(fitted, new):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.transform(new)


TABLE = pd.DataFrame({"age": [1.0, 2, 3], "city": ["Rome", "Oslo", "Rome"], "sex": ["f", "m", "m"]})


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.astype({"city": "category", "sex": "category"}),
        pl.DataFrame(TABLE.to_dict("list")),
    ],
    ids=["strings", "categories", "polars"],
)
@pytest.mark.parametrize("kind", [DeepInfoMaxTransformer, DeepInfoMaxClassifier])
def test_columns_of_text_are_named_and_are_to_be_encoded(table, kind):
    with pytest.raises(ValueError, match=r"text: 'city', 'sex'\..*OneHotEncoder.*or drop them"):
        kind().fit(table, [0, 1, 0])


def test_columns_of_text_that_fit_did_not_see_are_an_error_of_scikit_learn():
    fitted = DeepInfoMaxTransformer(2, random_state=0).fit(TABLE[["age"]])
    with pytest.raises(ValueError, match=r"Feature names unseen at fit time:\n- city\n- sex\n$"):
        fitted.transform(TABLE)


PATHS = ["photographs/1.png", "photographs/2.png"]


@pytest.mark.parametrize(
    "paths", [PATHS, [*map(Path, PATHS)], np.array(PATHS), np.array([PATHS]).T, pd.Series(PATHS)]
)
@pytest.mark.parametrize("kind", [DeepInfoMaxTransformer, DeepInfoMaxClassifier])
def test_a_fit_on_paths_points_to_the_folder(paths, kind):
    with pytest.raises(
        (ValueError, TypeError), match=r"holds text.*skdim\.inputs\.ImageFolder\(path"
    ):
        kind().fit(paths, [0, 1])


def test_a_classifier_of_a_path_points_to_the_folder():
    with pytest.raises(TypeError, match=r"X is of type str.*ImageFolder\(path"):
        DeepInfoMaxClassifier().fit("photographs", [0, 1])


def test_paths_for_what_was_fitted_on_arrays_point_to_the_folder(fitted):
    with pytest.raises(ValueError, match=r"holds text.*fitted on.*skdim\.inputs\.ImageFolder"):
        fitted.transform(PATHS)


@pytest.mark.parametrize(
    "container",
    [lambda images: images, lambda images: as_objects(images), pd.Series],
    ids=["list", "array of objects", "column"],
)
@pytest.mark.parametrize("kind", [DeepInfoMaxTransformer, DeepInfoMaxClassifier])
def test_images_of_different_sizes_are_to_be_scaled(container, kind):
    images = [*IMAGES[:5], IMAGES[5, :9], *IMAGES[6:]]
    with pytest.raises(ValueError, match=r"\(9, 16\), of sample 5\. .* scale, crop or pad"):
        kind().fit(container(images), np.arange(40) % 2)


def as_objects(images):
    """Put arrays into an array of one axis."""
    objects = np.empty(len(images), dtype=object)
    for number, image in enumerate(images):
        objects[number] = image
    return objects


@pytest.mark.parametrize("container", [as_objects, lambda images: pd.Series(list(images))])
def test_images_in_an_array_of_objects_are_read_as_a_list_of_them(fitted, container):
    assert np.array_equal(fitted.transform(container(IMAGES)), fitted.transform(IMAGES))


@pytest.mark.parametrize("table", [pd.DataFrame(), pl.DataFrame()], ids=["pandas", "polars"])
def test_an_empty_table_is_named_by_its_shape(table):
    with pytest.raises(ValueError, match=r"0 sample\(s\) \(shape=\(0, 0\)\) while a minimum of 2"):
        DeepInfoMaxTransformer().fit(table)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.full(40, -1), r"y has 0 class\(es\) in 0 labelled rows of 40.* DeepInfoMaxTransformer"),
        (np.where(np.arange(40) < 9, 3, -1), r"y has 1 class\(es\) in 9 .*At least two classes"),
        (np.where(np.arange(40) < 9, 3, np.nan), "y holds NaN.*Replace missing labels by -1"),
        ([None] * 30 + [0, 1] * 5, "y holds None.*Replace missing labels by -1"),
        (["cat"] * 20 + [np.nan] * 20, "y holds nan.*Replace missing labels by -1"),
        (pd.Series(["cat"] * 20 + [None] * 20), "y holds .*Replace missing labels by -1"),
        (
            pd.Series(["cat", "dog"] * 10 + [None] * 20, dtype="string"),
            "y holds <NA>.*Replace missing labels by -1",
        ),
        (["cat"] * 20 + [3] * 20, "strings, such as 'cat', and others, such as 3.*one type"),
    ],
)
def test_missing_labels_are_to_be_given_as_minus_one(y, said):
    with pytest.raises(ValueError, match=said):
        DeepInfoMaxClassifier().fit(IMAGES, y)


@pytest.mark.parametrize(
    ("estimator", "name", "hint"),
    [
        (
            DeepInfoMaxClassifier(),
            "transformer__n_components",
            r"transformer=None .* transformer=DeepInfoMaxTransformer\(output=\"hidden\"\)",
        ),
        (EncoderTransformer(), "objective__beta", r"objective=None .* objective=InfoMax\(\)"),
    ],
)
def test_parameters_of_none_are_to_be_given_an_object_first(estimator, name, hint):
    with pytest.raises(ValueError, match=hint):
        GridSearchCV(estimator, {name: [2]}).fit(IMAGES, np.arange(40) % 2)


@pytest.mark.parametrize("kind", [DeepInfoMaxTransformer, DeepInfoMaxClassifier])
def test_parameters_that_do_not_exist_are_an_error_of_scikit_learn(kind):
    with pytest.raises(ValueError, match="Invalid parameter 'objective' for estimator"):
        kind().set_params(objective__beta=2)


def test_labels_that_are_strings_may_stand_beside_numbers_in_a_list():
    classifier = DeepInfoMaxClassifier(random_state=0).fit(IMAGES, ["cat", "dog"] * 10 + [-1] * 20)
    assert classifier.classes_.tolist() == ["cat", "dog"]


def test_an_object_and_its_parameters_may_be_set_together():
    classifier = DeepInfoMaxClassifier()
    classifier.set_params(transformer=DeepInfoMaxTransformer(), transformer__n_components=3)
    assert classifier.transformer.n_components == 3
