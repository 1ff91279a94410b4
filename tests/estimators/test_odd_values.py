"""Numbers, tensors, masks and labels that rules used to let through are refused by their names."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from skdim.inputs import ImageFolder, Stream
from skdim.parameters import is_same, shown
from skdim.priors import PRIORS
from skdim.views import Augment
from tests.estimators.small import IMAGES, VECTORS, D, N, make

Y = np.arange(N) % 2

# --- Numbers ---

COUNTS = [
    *("n_components", "critic_units", "negatives", "batch_size", "max_epochs"),
    *("n_iter_no_change", "checkpoint_every", "verbose"),
]
NUMBERS = ["global_weight", "prior_weight", "classifier_weight", "learning_rate", "tol"]
HOUR = np.timedelta64(3, "s")


@pytest.mark.parametrize("value", [10**5000, 10**400, 2**64, 2**31, Fraction(3), HOUR], ids=shown)
@pytest.mark.parametrize("name", COUNTS)
def test_no_count_is_an_odd_number(name, value):
    said = rf"'{name}' parameter of .* must be .*an int >= \d and < 2\*\*31.* Got "
    with pytest.raises(ValueError, match=said) as error:
        make(**{name: value}).fit(VECTORS)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    "value", [10**5000, 10**400, 2**64, Fraction(1, 2), HOUR, np.timedelta64("NaT")], ids=shown
)
@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_is_an_odd_one(name, value):
    said = rf"'{name}' parameter of .* must be .*a float in [\[(]0, inf\).* Got "
    with pytest.raises(ValueError, match=said):
        make(**{name: value}).fit(VECTORS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_shape", (2, HOUR)),
        ("image_shape", (10**400, 1)),
        ("channel_axis", np.timedelta64(1, "s")),
        ("random_state", HOUR),
        ("checkpoint_dir", "a\0b"),
        ("checkpoint_dir", "a\ud800"),
    ],
    ids=shown,
)
def test_other_parameters_are_named_too(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of .* must be .* Got "):
        make(**{name: value}).fit(VECTORS)


@pytest.mark.parametrize(
    ("value", "error"),
    [(HOUR, TypeError), (Fraction(1), TypeError), (10**5000, ValueError)],
    ids=shown,
)
def test_numbers_of_streams_are_named(value, error):
    with pytest.raises(error, match=r"n_workers=.* must be"):
        Stream(VECTORS, n_workers=value)


@pytest.mark.parametrize("size", [(HOUR, 8), (2**31, 8), (10**5000, 1)], ids=shown)
def test_the_size_of_images_is_named(size, tmp_path):
    pytest.importorskip("PIL")
    with pytest.raises(ValueError, match=r"size=.* must be \(height, width\), two positive integ"):
        ImageFolder(tmp_path, size=size)


# --- Messages ---


class Long:
    def __repr__(self):
        return "x" * 10**6


class Broken:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "params",
    [{"encoder": "x" * 10**6}, {"device": "x" * 10**6}, {"tol": Long()}, {"tol": Broken()}],
    ids=["encoder", "device", "repr", "no repr"],
)
def test_messages_are_short(params):
    ((name, _),) = params.items()
    with pytest.raises(ValueError, match=name) as error:
        make(**params).fit(VECTORS)
    assert len(str(error.value)) < 1000


def test_messages_on_labels_and_changes_are_short():
    model = make(classifier_weight=1.0, warm_start=True).fit(VECTORS, Y)
    with pytest.raises(ValueError, match="y has classes that were not in the first fit") as error:
        model.fit(VECTORS, np.array(["c" * 10**5, "d"])[Y])
    assert len(str(error.value)) < 1000
    model.set_params(view=lambda x, generator: (x,), encoder="x" * 10**6)
    with pytest.raises(ValueError, match="encoder") as error:
        model.fit(VECTORS, Y)
    assert len(str(error.value)) < 1000


# --- Tensors and masks ---

TENSOR = torch.tensor(VECTORS)
MASKED = np.ma.masked_array(VECTORS, VECTORS > 1)

REFUSED = {
    "meta": (lambda: TENSOR.to("meta"), "on the meta device"),
    "meta in a list": (
        lambda: list(TENSOR.to("meta")),
        "Sample 0 of X is a tensor .* on the meta device",
    ),
    "nested": (lambda: torch.nested.nested_tensor(list(TENSOR)), "nested"),
    "jagged": (lambda: torch.nested.nested_tensor(list(TENSOR), layout=torch.jagged), "nested"),
    "sparse": (lambda: TENSOR.to_sparse(), "sparse"),
    "quantized": (
        lambda: torch.quantize_per_tensor(TENSOR.float(), 0.1, 0, torch.quint8),
        "quantized",
    ),
    "masked": (lambda: MASKED, "X is a masked array"),
    "masked images": (lambda: np.ma.masked_array(IMAGES, IMAGES > 1), "X is a masked array"),
    "masked in a list": (lambda: list(MASKED), "Sample 0 of X is a masked array"),
    "masked in a stream": (lambda: Stream(MASKED), "X is a masked array"),
}


@pytest.mark.filterwarnings("ignore:.*nested tensors is in prototype stage:UserWarning")
@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")
@pytest.mark.parametrize(("draw_up", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_tensors_and_masks_without_numbers_are_refused(method, draw_up, said):
    model = make() if method == "fit" else make().fit(VECTORS)
    with pytest.raises(TypeError, match=said):
        getattr(model, method)(draw_up())


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


@pytest.mark.parametrize("items", [TENSOR.to("meta"), TENSOR.to_sparse(), MASKED], ids=type)
def test_items_without_numbers_are_refused(items):
    with pytest.raises(TypeError, match=r"Sample 0 of X is a (tensor that is|masked array)"):
        make().fit(Items(items))


READ = {
    "negative bit": torch._neg_view(-TENSOR),  # noqa: SLF001 (as .imag of a conjugate)
    "part of a conjugate": torch.complex(TENSOR, -TENSOR).conj().imag,
    "gradients": TENSOR.clone().requires_grad_(),
    "gradients in a list": [row.clone().requires_grad_() for row in TENSOR],
    "stream of negative bits": Items(torch._neg_view(-TENSOR)),  # noqa: SLF001
}


@pytest.mark.parametrize("X", READ.values(), ids=READ)
def test_tensors_whose_numbers_are_flagged_are_read(X):
    np.testing.assert_array_equal(
        make().fit(X).transform(VECTORS), make().fit(VECTORS).transform(VECTORS)
    )


def test_bfloat16_is_read_in_a_list_as_in_a_tensor():
    rows = TENSOR.bfloat16()
    np.testing.assert_array_equal(make().fit_transform(list(rows)), make().fit_transform(rows))


def test_a_conjugate_is_refused_as_complex():
    with pytest.raises(ValueError, match="Complex data not supported"):
        make().fit(torch.complex(TENSOR, TENSOR).conj())


# --- Labels ---


@pytest.mark.parametrize(
    "y",
    [
        torch.tensor(Y, dtype=torch.float64, requires_grad=True),
        [torch.tensor(float(label), requires_grad=True) for label in Y],
        torch._neg_view(-torch.tensor(Y)),  # noqa: SLF001
        torch.tensor(Y).bfloat16(),
    ],
    ids=["gradients", "list", "negative bit", "bfloat16"],
)
def test_labels_in_tensors_are_read(y):
    model = make(classifier_weight=1.0).fit(VECTORS, y)
    expected = make(classifier_weight=1.0).fit(VECTORS, Y)

    assert model.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(model.transform(VECTORS), expected.transform(VECTORS))


@pytest.mark.parametrize("y", [torch.tensor(Y).to("meta"), np.ma.masked_array(Y, Y > 0)], ids=type)
def test_labels_without_numbers_are_refused(y):
    with pytest.raises(TypeError, match="y is a"):
        make(classifier_weight=1.0).fit(VECTORS, y)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.uint64])
def test_labels_whose_minus_one_was_wrapped_are_refused(dtype):
    y = np.where(np.arange(N) < 3, -1, Y).astype(dtype)

    with pytest.raises(ValueError, match=rf"dtype {dtype.__name__} and holds {y[0]}, which is -1"):
        make(classifier_weight=1.0).fit(VECTORS, y)
    make(classifier_weight=1.0).fit(VECTORS, y[3:].repeat(2)[:N])


# --- Extreme values ---


@pytest.mark.parametrize(
    "X",
    [
        np.where(VECTORS > 0, 3e38, -3e38),
        np.where(np.arange(N * D).reshape(N, D) < D, 1.4e-45, 0.0),
    ],
    ids=["large", "subnormal"],
)
@pytest.mark.parametrize("params", [{}, {"encoder": "auto", "max_epochs": "auto"}], ids=str)
def test_extreme_values_give_finite_codes_or_an_error_of_the_samples(X, params):
    def outcome():
        try:
            codes = make(**params).fit(X.astype(np.float32)).transform(X.astype(np.float32))
        except ValueError as error:
            return str(error)
        return f"{np.isfinite(codes).all()}"

    assert outcome().startswith(("X cannot be standardised in float32: its values are", "True"))


# --- What has changed since ---


def test_equal_dataclasses_are_the_same_parameter():
    model = make(warm_start=True, prior=PRIORS["normal"], prior_weight=0.1, view=Augment(shift=0.1))
    model.set_params(image_shape=(8, 8)).fit(IMAGES)
    model.set_params(view=Augment(shift=0.1), critic="auto").fit(IMAGES)

    model.set_params(view=Augment(shift=0.2))
    with pytest.raises(ValueError, match=r"view=Augment.*shift=0.2.*\(was Augment.*shift=0.1"):
        model.fit(IMAGES)


@pytest.mark.parametrize(
    ("now", "before", "same"),
    [
        (Augment(shift=0.1), Augment(shift=0.1), True),
        (Augment(shift=0.1), Augment(shift=0.2), False),
        ({"local": Augment()}, {"local": Augment()}, True),
        ({"local": "dot"}, {"global": "dot"}, False),
        ((1, 2), (1, 2, 3), False),
        ((8, 8), [8, 8], False),
        (1, 1.0, True),
        (np.float32(0.5), 0.5, True),
        (len, len, True),
        (len, max, False),
        (None, "auto", False),
    ],
    ids=str,
)
def test_sameness(now, before, same):
    assert is_same(now, before) is same
