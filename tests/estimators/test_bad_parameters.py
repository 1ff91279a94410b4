"""Parameters, modules and critics that are given wrongly are refused in words."""

import inspect
import re

import numpy as np
import pytest
import torch
from torch import nn

from skdim import DeepInfoMaxTransformer, EncoderTransformer
from skdim.critics import DotCritic
from skdim.encoders import Features
from skdim.objectives import AAE, AMDIM, CPC, NAT, VAE, Autoencoder, BiGAN
from tests.estimators.small import IMAGES, SIDE, VECTORS, D, N, features, make

# --- Parameters ---

NAN, INF = float("nan"), float("inf")
ARRAYS = [[1, 2], np.array([1, 2]), np.array(1)]
NO_INT = [-1, 0, 1.5, "x", NAN, INF, None, True, 1j, *ARRAYS]
NO_FLOAT = [-1, "x", NAN, INF, -INF, None, True, 1j, *ARRAYS]
NO_BOOL = [-1, 0, 1, 1.0, "x", NAN, INF, None, *ARRAYS]
NO_NAME = [-1, 0, 1, "x", "", NAN, INF, True, *ARRAYS]

WRONG = {
    "n_components": NO_INT,
    "global_weight": NO_FLOAT,
    "local_weight": NO_FLOAT,
    "prior_weight": NO_FLOAT,
    "coordinate_weight": NO_FLOAT,
    "relative_coordinate_weight": NO_FLOAT,
    "classifier_weight": NO_FLOAT,
    "classifier_layer": [*NO_NAME, None],
    "bound": [*NO_NAME, None, len],
    "critic": [*NO_NAME, None, {"local": "x"}, {"else": "dot"}, nn.Linear(2, 2)],
    "critic_units": NO_INT,
    "negatives": NO_INT,
    "prior": [*NO_NAME, None, len],
    "image_shape": [
        *[-1, 0, "x", NAN, INF, True, np.array([8, 8])],
        *[(), (8,), (8, 0), [-8, 8], (8, 8.0), (8, True), (8, "x"), (1, 1, 8, 8)],
    ],
    "channel_axis": [0, 2, -2, 1.0, "x", NAN, INF, True, *ARRAYS],
    "encoder": [*NO_NAME, None],
    "output": [*NO_NAME, None],
    "view": NO_NAME,
    "max_epochs": [value for value in NO_INT if type(value) is not int or value < 0],
    "batch_size": [*NO_INT, 1],
    "learning_rate": [*NO_FLOAT, 0, 0.0],
    "optimizer": [*NO_NAME, None],
    "schedule": [*NO_NAME, None, 0.5],
    "validation_fraction": [-1, 0, 1, 1.5, "x", NAN, INF, True, *ARRAYS],
    "early_stopping": NO_BOOL,
    "n_iter_no_change": NO_INT,
    "tol": NO_FLOAT,
    "warm_start": NO_BOOL,
    "random_state": [-1, 2**32, 1.5, "x", NAN, INF, True, np.random.default_rng(0), *ARRAYS],
    "device": [-1, 0, NAN, INF, None, True, *ARRAYS],
    "precision": [*NO_NAME, None, "float64", "half"],
    "compile": [-1, 0, 1.5, "x", NAN, INF, None, *ARRAYS],
    "callbacks": [-1, 0, "x", NAN, True, [1], ["x"], [None], [("name", 1)], [(1, 2, 3)], len],
    "verbose": [-1, 1.5, "x", NAN, INF, None, *ARRAYS],
    "checkpoint_dir": [-1, 0, 1.5, NAN, True, len, *ARRAYS],
    "checkpoint_every": NO_INT,
}


def test_every_parameter_of_the_constructor_is_tried():
    assert list(WRONG) == list(inspect.signature(DeepInfoMaxTransformer).parameters)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_parameter_is_refused_by_its_name_at_fit_and_not_before(name, value):
    model = make(**{name: value})
    assert model.get_params()[name] is value
    said = rf"'{name}' parameter of DeepInfoMaxTransformer must be .+\. Got "
    with pytest.raises(ValueError, match=said + f"{re.escape(repr(value))} instead"):
        model.fit(VECTORS)
    with pytest.raises(ValueError, match=said):
        model.partial_fit(VECTORS)


NETWORKS = [{"encoder": "mlp"}, {"bound": "jsd"}, {"critic": "dot"}, {"negatives": "shift"}]
TERMS = [{"critic_units": 8}, {"prior_weight": 0.1}]


@pytest.mark.parametrize("params", [*NETWORKS, *TERMS], ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_no_epochs_are_refused_where_nothing_has_a_closed_form(params, method):
    model = DeepInfoMaxTransformer(4, max_epochs=0, **params)
    ((name, value),) = params.items()

    with pytest.raises(ValueError, match=f"max_epochs=0 .* does not support {name}={value!r}"):
        getattr(model, method)(VECTORS)
    assert not hasattr(model, "net_")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "kind",
    [
        AAE,
        AMDIM,
        CPC,
        NAT,
        VAE,
        Autoencoder,
        BiGAN,
    ],
)
def test_the_baselines_refuse_no_epochs(kind, method):
    model = EncoderTransformer(4, objective=kind(), max_epochs=0)
    if method == "partial_fit" and kind is NAT:
        pytest.skip("NAT has no partial_fit")

    with pytest.raises(ValueError, match=f"which {kind.__name__} does not have"):
        getattr(model, method)(VECTORS)
    assert not hasattr(model, "net_")


IMAGE_ROWS = IMAGES.reshape(N, -1)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("n_components", 5, np.int64),
        ("n_components", 5, np.uint8),
        ("channel_axis", 1, np.int64),
        ("global_weight", 0.5, np.float32),
        ("global_weight", 1, np.int64),
        ("local_weight", 0.5, np.float64),
        ("local_weight", 0.5, np.float16),
        ("prior_weight", 0.5, np.float32),
        ("bound", "jsd", np.str_),
        ("critic_units", 8, np.int32),
        ("negatives", 2, np.int64),
        ("max_epochs", 2, np.int64),
        ("batch_size", 5, np.int64),
        ("learning_rate", 0.5**10, np.float32),
        ("learning_rate", 0.5**10, np.float64),
        ("validation_fraction", 0.25, np.float32),
        ("early_stopping", True, np.bool_),
        ("n_iter_no_change", 1, np.int64),
        ("tol", 0.5, np.float32),
        ("warm_start", True, np.bool_),
        ("random_state", 3, np.uint32),
        ("verbose", 0, np.int64),
        ("verbose", False, np.bool_),
    ],
)
def test_numpy_scalars_do_what_plain_numbers_do(name, value, kind):
    plain, scalar = make(**{name: value}), make(**{name: kind(value)})
    np.testing.assert_array_equal(
        scalar.fit(VECTORS).transform(VECTORS), plain.fit(VECTORS).transform(VECTORS)
    )
    assert list(scalar.history_) == list(plain.history_)


def test_numpy_scalars_do_as_sides_of_an_image():
    scalars = tuple(np.array([SIDE, SIDE]))
    np.testing.assert_array_equal(
        features(IMAGE_ROWS, image_shape=scalars), features(IMAGE_ROWS, image_shape=(SIDE, SIDE))
    )


def test_no_term_at_all_is_refused():
    said = r"global_weight, local_weight, prior_weight, .* and classifier_weight are all 0"
    with pytest.raises(ValueError, match=said):
        make(global_weight=0, local_weight=0.0, prior_weight=0).fit(VECTORS)


@pytest.mark.parametrize("device", ["cuda:99", torch.device("cuda:99"), "meta"])
def test_a_device_that_is_not_there_is_refused_without_a_fallback(device):
    with pytest.raises(ValueError, match=f"device={re.escape(repr(device))} cannot be used here"):
        make(device=device).fit(VECTORS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_cuda_is_refused_without_a_fallback():
    with pytest.raises(ValueError, match=r"device='cuda' .* sees 0 CUDA devices. Use device='auto"):
        make(device="cuda").fit(VECTORS)


@pytest.mark.parametrize("device", ["x", "cuda:x", "", "cpu:cpu"])
def test_a_name_that_is_no_device_is_refused(device):
    said = f"device={device!r} is not a valid device. Use 'auto', 'cpu'"
    with pytest.raises(ValueError, match=said):
        make(device=device).fit(VECTORS)
    fitted = make(warm_start=True).fit(VECTORS).set_params(device=device)
    with pytest.raises(ValueError, match=said):
        fitted.fit(VECTORS)
    fitted.transform(VECTORS)


@pytest.mark.parametrize(
    ("n", "params", "said"),
    [
        (N, {"validation_fraction": 0.01}, r"0.01 of 20 samples holds out 0. At least 2"),
        (N, {"validation_fraction": 0.99}, r"0.99 of 20 samples holds out 20. At least 2"),
        (5, {"early_stopping": True}, r"validation_fraction=0.1 of 5 samples holds out 0"),
        (
            N,
            {"early_stopping": True, "local_weight": 0, "prior_weight": 1},
            "need a term that measures information. Give local_weight or global_weight",
        ),
    ],
)
def test_holding_out_what_cannot_be_scored_is_refused(n, params, said):
    with pytest.raises(ValueError, match=said):
        make(**params).fit(VECTORS[:n])


def test_a_score_without_a_term_that_measures_is_refused():
    model = make(local_weight=0, prior_weight=1).fit(VECTORS)
    with pytest.raises(ValueError, match=r"has no score: .* Give local_weight or global_weight"):
        model.score(VECTORS)


def test_augmenting_vectors_is_refused():
    with pytest.raises(ValueError, match=r"'augment' is a view of images, but .* 6 features"):
        make(view="augment").fit(VECTORS)


@pytest.mark.parametrize(
    ("view", "given"),
    [
        (lambda x, generator: x, r"a tensor of shape \(2, 6\)"),
        (lambda x, generator: None, "an object of type NoneType"),
        (lambda x, generator: (), "a tuple of 0"),
        (lambda x, generator: (x[:, :2],), r"a tuple of 1: a tensor of shape \(2, 2\)"),
        (lambda x, generator: (x, x.numpy()), r"a tuple of 2: .* type ndarray"),
    ],
)
def test_a_view_that_gives_no_looks_is_refused_in_words(view, given):
    with pytest.raises(
        ValueError, match=f"view=.* returned {given}.* must return a tuple of tensors"
    ):
        make(view=view).fit(VECTORS)


# --- Modules of one's own ---


class Net(nn.Module):
    def __init__(self, outcome):
        super().__init__()
        self.linear = nn.Linear(D, 4)
        self.outcome = outcome

    def forward(self, x):
        return self.outcome(self.linear(x))


@pytest.mark.parametrize(
    ("outcome", "error", "said"),
    [
        (lambda h: h, TypeError, r"returned a tensor of shape \(2, 4\). It must return"),
        (lambda h: None, TypeError, "returned an object of type NoneType. It must return"),
        (lambda h: {"code": h}, TypeError, "returned an object of type dict. It must return"),
        (lambda h: h.numpy(), TypeError, "returned an object of type ndarray. It must return"),
        (lambda h: (h, h, h), TypeError, "returned a tuple of 3: .* It must return"),
        (lambda h: (h, h.numpy()), TypeError, "returned a tuple of 2: .* ndarray. It must return"),
        (lambda h: (h[:1], h), ValueError, r"'local' of shape \(1, 4\) for 2 samples"),
        (lambda h: (h[:, :0], h), ValueError, r"'local' of shape \(2, 0\) .* not be empty"),
        (lambda h: (h, h[:, 0]), ValueError, r"'code' of shape \(2,\) for 2 samples"),
        (lambda h: (h.mean(), h), ValueError, r"'local' of shape \(\) for 2 samples"),
        (lambda h: (h, h.mean(0)), ValueError, r"'code' of shape \(4,\) for 2 samples"),
        (lambda h: Features(h, h[0], h, h), ValueError, r"'conv' of shape \(4,\) for 2 samples"),
        (lambda h: (h * NAN, h), ValueError, "'local' with numbers that are not finite"),
        (lambda h: (h, h / 0), ValueError, "'code' with numbers that are not finite"),
        (lambda h: (h.long(), h), ValueError, "'local' with numbers that are not finite floats"),
        (lambda h: h @ h, ValueError, r"failed on two samples of shape \(6,\): mat1 and mat2"),
    ],
)
def test_a_module_that_gives_no_features_is_refused_by_its_name(outcome, error, said):
    with pytest.raises(error, match=f"The encoder Net (returned )?{said}"):
        make(encoder=Net(outcome)).fit(VECTORS)


def test_a_module_for_other_samples_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"The encoder Linear failed on two samples of shape \(6,"):
        make(encoder=nn.Linear(D + 1, 3)).fit(VECTORS)


@pytest.mark.parametrize("made", [3, None, nn.Linear])
def test_a_callable_that_makes_no_module_is_refused(made):
    with pytest.raises(
        TypeError, match=r"encoder=.* returned an object of type \w+. It must return a to"
    ):
        make(encoder=lambda input_shape, n_components: made).fit(VECTORS)


@pytest.mark.parametrize("term", ["local", "global"])
def test_a_critic_of_other_sizes_is_refused(term):
    model = make(critic={term: DotCritic(3, 5, 4)}, local_weight=1, global_weight=1)
    said = rf"The critic DotCritic of the {term} term cannot score codes of shape \(\d+,\)"

    with pytest.raises(ValueError, match=said):
        model.fit(VECTORS)


def test_an_optimizer_that_wants_a_closure_is_refused():
    with pytest.raises(ValueError, match="optimizer=LBFGS computes the loss of each batch several"):
        make(optimizer=torch.optim.LBFGS).fit(VECTORS)


def test_a_callable_that_makes_no_critic_is_refused():
    with pytest.raises(
        TypeError, match=r"critic=.* returned an object of type Linear. It must return a"
    ):
        make(critic=lambda code_features, local_features: nn.Linear(2, 2)).fit(VECTORS)


def test_what_makes_no_optimizer_is_refused():
    with pytest.raises(TypeError, match="optimizer returned an object of type NoneType"):
        make(optimizer=lambda weights, lr: None).fit(VECTORS)


def test_an_encoder_of_two_precisions_is_refused():
    class Mixed(nn.Module):
        def forward(self, x):
            return x[:, :4, None], x[:, :4].double()

    with pytest.raises(ValueError, match=r"'code' as torch.float64 and 'local' as torch.float"):
        make(encoder=Mixed()).fit(VECTORS)


CHANGES = {
    "n_components": 5,
    "output": "hidden",
    "prior_weight": 0.5,
    "bound": "jsd",
    "optimizer": "sgd",
    "encoder": nn.Linear(2, 2),
    "view": lambda x, generator: (x,),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", CHANGES)
def test_going_on_with_other_parameters_than_the_first_is_refused_and_costs_nothing(name, method):
    model = make(warm_start=True).fit(VECTORS)
    before = model.transform(VECTORS)

    model.set_params(**{name: CHANGES[name]})
    with pytest.raises(ValueError, match=f"{name}=.* training cannot continue"):
        getattr(model, method)(VECTORS)

    np.testing.assert_array_equal(model.transform(VECTORS), before)


def test_what_belongs_to_one_training_may_change_when_going_on():
    model = make(warm_start=True).fit(VECTORS)

    model.set_params(max_epochs=2, batch_size=4, learning_rate=1e-4, schedule="constant", verbose=0)

    assert model.fit(VECTORS).n_iter_ == 3


@pytest.mark.parametrize("critic", ["dot", "auto", "gaussian"])
def test_sizes_of_several_layers_need_a_critic_that_has_them(critic):
    with pytest.raises(
        ValueError, match=r"critic_units=\(8, 8\) has sizes of several hidden layers"
    ):
        make(critic=critic, critic_units=(8, 8), max_epochs=1).fit(VECTORS)
