"""Displays accept classifiers, pipelines and files of images, or name what they accept."""

import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdim import DeepInfoMaxClassifier
from skdim.displays import (
    EmbeddingDisplay,
    InformationMapDisplay,
    LooksDisplay,
    NeighborsDisplay,
    PatternsDisplay,
    TermsDisplay,
)
from skdim.inputs import ImageFolder
from tests.displays.helpers import IMAGES, LABELS, fitted

# What each display draws of an estimator and of X.
DISPLAYS = {
    "embedding": lambda model, X: EmbeddingDisplay.from_estimator(model, X).points,
    "thumbnails": lambda model, X: [
        drawn.get_array()
        for drawn in EmbeddingDisplay.from_estimator(model, X, n_thumbnails=4).thumbnails_
    ],
    "neighbors": lambda model, X: NeighborsDisplay.from_estimator(model, X).images,
    "distances": lambda model, X: NeighborsDisplay.from_estimator(model, X).distances,
    "looks": lambda model, X: LooksDisplay.from_estimator(model, X, random_state=0).looks,
    "map": lambda model, X: InformationMapDisplay.from_estimator(model, X).maps,
    "terms": lambda model, X: TermsDisplay.from_estimator(model).curves["local bound"],
    "patterns": lambda model, X: PatternsDisplay.from_estimator(model).filters,
}
of_each_display = pytest.mark.parametrize("draw", DISPLAYS.values(), ids=DISPLAYS)
# Displays of what the encoder alone is, or sees.
of_encoders = pytest.mark.parametrize(
    "draw",
    [DISPLAYS[name] for name in ("neighbors", "looks", "map", "terms", "patterns")],
    ids=["neighbors", "looks", "map", "terms", "patterns"],
)
LABELLED = np.where(np.arange(60) < 30, LABELS, -1)


@pytest.fixture(scope="module")
def transformer():
    return fitted()


@pytest.fixture(scope="module")
def classifier(transformer):
    model = DeepInfoMaxClassifier.from_transformer(transformer, random_state=0)
    return model.fit(IMAGES, LABELLED)


def scaled(X):
    return X / 16


@of_each_display
def test_of_a_classifier_its_transformer_is_shown(classifier, transformer, draw, pyplot):
    np.testing.assert_array_equal(draw(classifier, IMAGES), draw(transformer, IMAGES))


@pytest.fixture(scope="module")
def of_scaled():
    return fitted(scaled(IMAGES))


@pytest.fixture(scope="module", params=["nothing", "regression", "classifier"])
def pipeline(request, of_scaled):
    steps = {
        "nothing": [of_scaled],
        "regression": [of_scaled, LogisticRegression()],
        "classifier": [DeepInfoMaxClassifier(of_scaled, random_state=0)],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(FunctionTransformer(scaled), *clone(steps[request.param])).fit(
            IMAGES, LABELS
        )


@of_each_display
def test_of_a_pipeline_the_transformer_is_shown_on_what_earlier_steps_return(
    pipeline, of_scaled, draw, pyplot
):
    np.testing.assert_array_equal(draw(pipeline, IMAGES), draw(of_scaled, scaled(IMAGES)))


def test_neighbours_and_points_of_a_pipeline_are_those_of_all_its_codes(pyplot):
    pipeline = make_pipeline(fitted(), StandardScaler(), LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(IMAGES, LABELS)
    codes = pipeline[:-1].transform(IMAGES)
    shown = NeighborsDisplay.from_estimator(pipeline, IMAGES)
    expected = NeighborsDisplay.from_codes(codes, IMAGES)
    np.testing.assert_array_equal(shown.indices, expected.indices)
    np.testing.assert_array_equal(
        EmbeddingDisplay.from_estimator(pipeline, IMAGES).points,
        EmbeddingDisplay.from_codes(codes).points,
    )


@pytest.fixture(scope="module")
def search():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GridSearchCV(fitted(), {"n_components": [3]}, cv=2).fit(IMAGES)


@of_each_display
def test_of_a_search_the_best_estimator_is_shown(search, draw, pyplot):
    found = draw(search, IMAGES)
    np.testing.assert_array_equal(found, draw(search.best_estimator_, IMAGES))


@of_encoders
@pytest.mark.parametrize(
    "model", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())]
)
def test_other_estimators_are_refused_by_what_is_accepted(model, draw, pyplot):
    rows = IMAGES.reshape(60, -1)
    said = rf"a fitted DeepInfoMaxTransformer.* or a pipeline with one\. Got {type(model).__name__}"
    with pytest.raises(ValueError, match=said):
        draw(model.fit(rows, LABELS), rows)


def test_points_of_what_has_no_codes_are_refused_by_what_is_accepted(pyplot):
    rows = IMAGES.reshape(60, -1)
    for model in (LogisticRegression(), make_pipeline(LogisticRegression())):
        with pytest.raises(ValueError, match=r"EmbeddingDisplay takes .* Got .* from_codes"):
            EmbeddingDisplay.from_estimator(model.fit(rows, LABELS), rows)


@of_each_display
def test_what_is_not_fitted_is_refused_as_such(draw, pyplot):
    for model in (
        DeepInfoMaxClassifier(),
        make_pipeline(StandardScaler(), DeepInfoMaxClassifier()),
    ):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            draw(model, IMAGES)


# --- Files of images ---


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("i")
    draws = np.random.default_rng(0)
    for number in range(12):
        pixels = draws.integers(0, 256, (20, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{number:02}.png")
    return ImageFolder(path, size=(8, 8))


def opened(file):
    with Image.open(file) as image:
        return image.copy()


@pytest.fixture(scope="module")
def of_files(folder):
    return fitted(folder)


@of_each_display
@pytest.mark.parametrize(
    "given",
    [
        lambda folder: str(folder.files[0].parent),
        lambda folder: folder.files[0].parent,
        lambda folder: list(map(str, folder.files)),
        lambda folder: np.array(list(map(str, folder.files))),
        lambda folder: [opened(file) for file in folder.files],
    ],
    ids=["string", "path", "list", "array", "images"],
)
def test_what_transform_takes_is_shown(folder, of_files, given, draw, pyplot):
    np.testing.assert_array_equal(draw(of_files, given(folder)), draw(of_files, folder))


def test_looks_at_a_single_file_or_image_are_shown(folder, of_files, pyplot):
    expected = LooksDisplay.from_estimator(of_files, folder, queries=[3], random_state=0).looks
    for given in (folder.files[3], str(folder.files[3]), opened(folder.files[3])):
        shown = LooksDisplay.from_estimator(of_files, given, random_state=0)
        np.testing.assert_array_equal(shown.looks, expected)


def test_a_map_of_a_single_file_is_refused_in_words(folder, of_files, pyplot):
    with pytest.raises(ValueError, match=r"1 sample\(s\).*at least one more is needed"):
        InformationMapDisplay.from_estimator(of_files, folder.files[3])
