"""scikit-learn's own checks of what an estimator is, with no failure expected."""

from itertools import cycle

import numpy as np
import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_inplace_ensure_writeable,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    estimator_checks_generator,
    parametrize_with_checks,
)

from skdim import DeepInfoMaxTransformer
from skdim.bounds import BOUNDS
from skdim.critics import CRITICS, takes_map
from skdim.inputs import ArraySamples, Layout
from skdim.priors import PRIORS
from skdim.views import VIEWS

SIDE = 8


class DeepInfoMaxOfTiles(DeepInfoMaxTransformer):
    """Read every row as an 8x8 image tiled with it: the checks know only narrow tables."""

    def _read(self, X, y=None, **how):
        rows = super()._read(X, y, **how)
        pixels = np.arange(SIDE * SIDE) % rows.layout.n_features
        tiles = Layout((1, SIDE, SIDE))
        return ArraySamples(
            rows.array[:, pixels],
            tiles,
            rows.device,
            labels=rows.labels,
            preload=how.get("fit", False),
        )


def small(estimator=DeepInfoMaxTransformer, **parameters):
    """Train briefly: what is checked does not need good features."""
    return estimator(8, max_epochs=1, critic_units=8, random_state=0, **parameters)


# One for each way through the code: all checks.
MAIN = [
    DeepInfoMaxTransformer(),
    small(),
    small(coordinate_weight=0.5, relative_coordinate_weight=0.5, critic="concat", bound="dv"),
    small(classifier_weight=0.5, classifier_layer="hidden"),
]

# Vectors have no maps.
OF_VECTORS = [name for name in CRITICS if not takes_map(CRITICS[name])]

# Each bound, with each critic, prior, sort of negatives and view at least once.
CHOICES = [
    *(
        small(
            bound=bound,
            critic=critic,
            prior=prior,
            negatives=negatives,
            global_weight=0.5,
            prior_weight=0.1,
        )
        for bound, critic, prior, negatives in zip(
            BOUNDS, cycle(OF_VECTORS), cycle(PRIORS), cycle(["all", "shift", 2, "shift"])
        )
    ),
    small(global_weight=1, local_weight=0),
    *(small(DeepInfoMaxOfTiles, view=view) for view in VIEWS if view not in ("stretch", "distort")),
]
VARYING = {
    "check_dict_unchanged",
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
}

# Further ones that scikit-learn holds its own transformers to.
FURTHER_CHECKS = [
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_inplace_ensure_writeable,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
]


@parametrize_with_checks(MAIN)
def test_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def varying_checks(estimators):
    """Choose the checks of scikit-learn whose outcome depends on what is trained."""
    return pytest.mark.parametrize(
        ("estimator", "check"),
        [
            pytest.param(estimator, check, id=f"{number}-{check.func.__name__}")
            for number, each in enumerate(estimators)
            for estimator, check in estimator_checks_generator(each)
            if check.func.__name__ in VARYING
        ],
    )


@varying_checks(CHOICES)
def test_keeps_the_contract_with_every_choice(estimator, check):
    check(estimator)


# Some of these checks fit on a table with names and transform an array, or the other way round.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize("check", FURTHER_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract_of_a_transformer(check):
    check("DeepInfoMaxTransformer", small())
