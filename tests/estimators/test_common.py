"""scikit-learn's own checks of what an estimator is, with no failure expected."""

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
            hold=how.get("fit", False),
        )


def small(estimator=DeepInfoMaxTransformer, **parameters):
    """Train briefly: what is checked does not need good features."""
    return estimator(8, max_epochs=2, random_state=0, **parameters)


def weighted(global_weight, local_weight, prior_weight):
    return small(global_weight=global_weight, local_weight=local_weight, prior_weight=prior_weight)


EVERY_CHOICE = [
    DeepInfoMaxTransformer(),
    *(small(bound=bound) for bound in BOUNDS),
    # Vectors have no maps.
    *(
        small(critic=name, global_weight=0.5, critic_units=8)
        for name in CRITICS
        if not takes_map(CRITICS[name])
    ),
    *(small(prior=prior, prior_weight=0.1) for prior in PRIORS),
    *(small(negatives=negatives) for negatives in ("all", "shift", 2)),
    weighted(1, 0, 0),
    weighted(0, 1, 0.1),
    weighted(0.5, 1, 0.1),
    small(coordinate_weight=0.5, relative_coordinate_weight=0.5),
    small(classifier_weight=0.5, classifier_layer="hidden"),
    *(small(DeepInfoMaxOfTiles, view=view) for view in VIEWS if view != "stretch"),
]

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


@parametrize_with_checks(EVERY_CHOICE)
def test_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


# Some of these checks fit on a table with names and transform an array, or the other way round.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize("estimator", [small(), small(DeepInfoMaxOfTiles)], ids=["rows", "images"])
@pytest.mark.parametrize("check", FURTHER_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract_of_a_transformer(estimator, check):
    check(type(estimator).__name__, estimator)
