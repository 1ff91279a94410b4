"""Estimators with parameters that are drawn at random, valid and not."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
from sklearn.base import clone

from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer, EncoderTransformer
from skdim.bounds import BOUNDS
from skdim.encoders import LAYERS
from skdim.estimators.build import OPTIMIZERS
from skdim.objectives import AAE, AMDIM, CPC, NAT, VAE, Autoencoder, BiGAN, InfoMax
from skdim.priors import PRIORS
from skdim.training import SCHEDULES
from tests.reliability.attacks.oracles import Wrong, check_contract, check_refused

__all__ = ["draw_data", "draw_model", "invalid_parameters", "pick", "take", "valid_parameters"]


def pick(rng, values):
    """Draw one of some values of any type."""
    values = list(values)
    return values[rng.integers(len(values))]


def draw_data(rng, kind):
    """Draw vectors, images or signals: whole numbers below 100, which any dtype holds."""
    n = int(rng.integers(6, 40))
    if kind == "vectors":
        shape = (n, int(rng.integers(1, 12)))
    elif kind == "images":
        shape = (n, *pick(rng, [(), (1,), (3,)]), *rng.integers(8, 14, size=2).tolist())
    else:
        shape = (n, int(rng.integers(1, 4)), int(rng.integers(16, 40)))
    X = rng.integers(0, 100, shape).astype(np.float32)
    return np.moveaxis(X, 1, -1).copy() if X.ndim == 4 and rng.random() < 0.5 else X


def take(X, rows):
    """Return some samples of an array."""
    return X[rows]


# ---------------------------------------------------------------------------------------------
# Valid parameters: for each, a function that draws a value.

WEIGHTS = (0, 0.0, 0.5, 1, np.float32(0.1), np.int64(1))
COMMON = {
    "n_components": lambda rng: pick(rng, [1, 2, np.int64(5), 7]),
    "output": lambda rng: pick(rng, LAYERS),
    "batch_size": lambda rng: int(rng.integers(2, 40)),
    "learning_rate": lambda rng: pick(rng, [1e-3, 1e-6, np.float32(1e-2), 1]),
    "optimizer": lambda rng: pick(rng, [*OPTIMIZERS, torch.optim.RMSprop]),
    "schedule": lambda rng: pick(rng, SCHEDULES),
    "validation_fraction": lambda rng: pick(rng, [None, 0.3, 0.5, 0.01]),
    "early_stopping": lambda rng: pick(rng, [True, False, np.bool_(True)]),
    "n_iter_no_change": lambda rng: pick(rng, [1, 10]),
    "tol": lambda rng: pick(rng, [0, 1e-4, 1.0]),
    "warm_start": lambda rng: pick(rng, [True, False]),
    "random_state": lambda rng: pick(rng, [0, 2**32 - 1, np.random.RandomState(3)]),
    "device": lambda rng: pick(rng, ["cpu", torch.device("cpu")]),
    "precision": lambda rng: pick(rng, ["float32", "float32", "bfloat16"]),
    "verbose": lambda rng: pick(rng, [0, False]),
    "checkpoint_every": lambda rng: pick(rng, [1, 3]),
}
VIEWS_OF = {
    "vectors": ("auto", None),
    "images": ("auto", None, "augment", "mirror", "occlude"),
    "signals": ("auto", None),
}
ENCODERS_OF = {
    "vectors": ("auto", "mlp"),
    "images": ("auto", "patch_network"),
    "signals": ("conv1d",),
}
CLOSED_ENCODERS_OF = {
    "vectors": ("auto", "columns"),
    "images": ("auto", "patches"),
    "signals": ("kernels",),
}
INFOMAX = {
    "global_weight": lambda rng: pick(rng, WEIGHTS),
    "local_weight": lambda rng: pick(rng, WEIGHTS),
    "prior_weight": lambda rng: pick(rng, WEIGHTS),
    "coordinate_weight": lambda rng: pick(rng, [0, 0, 0.5]),
    "relative_coordinate_weight": lambda rng: pick(rng, [0, 0, 0.5]),
    "bound": lambda rng: pick(rng, ["auto", *BOUNDS]),
    "critic": lambda rng: pick(rng, ["auto", "dot", "concat", "encode_and_dot", {"local": "dot"}]),
    "critic_units": lambda rng: pick(rng, [2, 9, "auto", {"global": 3}]),
    "negatives": lambda rng: pick(rng, ["all", "shift", 1, 3]),
    "prior": lambda rng: pick(rng, PRIORS),
}
OBJECTIVES = {
    AAE: {"prior": INFOMAX["prior"], "prior_weight": INFOMAX["prior_weight"]},
    AMDIM: {
        **dict.fromkeys(("conv_weight", "conv_conv_weight"), lambda rng: pick(rng, WEIGHTS)),
        "critic": lambda rng: pick(rng, ["dot", "concat"]),
        "bound": lambda rng: pick(rng, list(BOUNDS)),
        "negatives": INFOMAX["negatives"],
    },
    CPC: {"n_predicted": lambda rng: pick(rng, [1, 5]), "critic_units": lambda rng: 3},
    NAT: {},
    VAE: {"beta": lambda rng: pick(rng, WEIGHTS)},
    Autoencoder: {},
    BiGAN: {"prior": INFOMAX["prior"], "gradient_penalty": lambda rng: pick(rng, WEIGHTS)},
    InfoMax: INFOMAX,
}
HEADS = {
    "C": lambda rng: pick(rng, ["auto", 1, 0.01]),
    "self_training": lambda rng: pick(rng, ["auto", True, False]),
    "fine_tune": lambda rng: pick(rng, [True, False]),
    "max_epochs": lambda rng: pick(rng, [1, 2]),
    "layer_decay": lambda rng: pick(rng, [0.5, 1]),
    "validation_fraction": lambda rng: pick(rng, [0.2, 0.5]),
    "batch_size": COMMON["batch_size"],
    "learning_rate": lambda rng: pick(rng, [1e-3, 1e-5]),
    "n_iter_no_change": COMMON["n_iter_no_change"],
    "random_state": COMMON["random_state"],
}


def some(rng, drawn, share=0.4):
    """Draw values for a share of some parameters."""
    return {name: draw(rng) for name, draw in drawn.items() if rng.random() < share}


def draw_transformer(rng, data):
    """Draw a transformer for a kind of data, and its training."""
    common = some(rng, COMMON) | {"device": "cpu"}
    common.setdefault("random_state", 0)
    common.setdefault("n_components", 3)
    if data == "signals":
        common["channel_axis"] = 1
    if rng.random() < 0.3:
        encoder = pick(rng, CLOSED_ENCODERS_OF[data])
        closed = {name: common[name] for name in ("n_components", "random_state", "device")}
        axis = {name: value for name, value in common.items() if name == "channel_axis"}
        return DeepInfoMaxTransformer(
            **closed,
            **axis,
            encoder=encoder,
            output=pick(rng, LAYERS),
            max_epochs=pick(rng, [0, "auto"]),
        )
    common |= {
        "max_epochs": int(rng.integers(1, 3)),
        "encoder": pick(rng, ENCODERS_OF[data]),
        "view": pick(rng, VIEWS_OF[data]),
    }
    if rng.random() < 0.5:
        return DeepInfoMaxTransformer(**some(rng, INFOMAX) | common)
    kind = pick(rng, OBJECTIVES)
    return EncoderTransformer(objective=kind(**some(rng, OBJECTIVES[kind])), **common)


def draw_model(rng, data):
    """Draw an estimator and labels for it: a transformer, or in one case of four a classifier."""
    transformer = draw_transformer(rng, data)
    if rng.random() < 0.75:
        return transformer
    given = some(rng, HEADS)
    given.setdefault("random_state", 1)
    return DeepInfoMaxClassifier(pick(rng, [None, transformer, transformer]), **given)


def draw_labels(rng, n):
    """Draw labels of two or three classes, of which each has three rows; -1 for some others."""
    n_classes = 2 if n < 9 else 3
    y = rng.integers(-1, n_classes, n)
    y[: 3 * n_classes] = np.repeat(np.arange(n_classes), 3)[: len(y)]
    return rng.permutation(y)


def valid_parameters(rng):
    """Fit an estimator with valid parameters."""
    data = pick(rng, VIEWS_OF)
    model, X = draw_model(rng, data), draw_data(rng, data)
    y = draw_labels(rng, len(X)) if isinstance(model, DeepInfoMaxClassifier) else None
    # What is valid by itself may not go together: that is said by the name of a parameter.
    names = {name.rpartition("__")[2] for name in model.get_params()} | {"X", "samples", "y"}
    try:
        return check_contract(model, X, y, names=names - {"transformer"}, take=take)
    except Exception as error:
        raise Wrong(f"{X.shape} to {model}: {type(error).__name__}: {error}") from error


# ---------------------------------------------------------------------------------------------
# Invalid parameters


class Hostile:
    """An object of which nothing can be asked."""

    def refuse(self, *args):
        raise RuntimeError("do not ask")

    __repr__ = __str__ = __eq__ = __bool__ = __len__ = __iter__ = __float__ = __index__ = refuse
    __hash__ = refuse


STRANGE = (
    *(-1, -(10**400), 10**400, Fraction(1, 3), Decimal("0.5"), np.timedelta64(3, "s"), 1j),
    *(float("nan"), np.float32("nan"), float("inf"), -float("inf"), b"code", "nonsense", ""),
    *("x" * 10**6, "\0", "\ud800", {"a": 1}, {1, 2}, range(3), np.array([1, 2]), torch.ones(2)),
    *(np.array([None]), object(), Hostile(), np.ma.masked, NotImplemented, Ellipsis, np),
)
COUNT = (*STRANGE, None, True, 0, 1.0, 2**31, "3", [3], (3,))
MAY_BE_ZERO = tuple(value for value in COUNT if not (type(value) in (int, bool) and value == 0))
REAL = (*STRANGE, None, True, "0.5", [0.5], 2**64)
CHOICE = (*STRANGE, 3, True, 1.0, ["code"], ("code",))
BOOLEAN = (*STRANGE, None, 0, 1, 1.0, "True", [])
SHARE = tuple(v for v in (*REAL, 0, 1, 1.5) if v is not None)
WRONG = {
    "n_components": COUNT,
    "image_shape": (*STRANGE[:15], 3, (), (3,), (0, 3), (1, 2, 3, 4), (2.0, 3), (10**400, 1), "33"),
    "channel_axis": (*STRANGE[1:], 0, 2, "last", [1], True),
    "encoder": CHOICE,
    "output": (*CHOICE, None),
    "view": CHOICE,
    "max_epochs": MAY_BE_ZERO,
    "batch_size": (*COUNT, 1),
    "learning_rate": (*REAL, 0, 0.0),
    "optimizer": (*CHOICE, None),
    "schedule": (*CHOICE, None),
    "validation_fraction": SHARE,
    "early_stopping": BOOLEAN,
    "n_iter_no_change": COUNT,
    "tol": REAL,
    "warm_start": BOOLEAN,
    "random_state": (*STRANGE, 2**32, 1.0, True, "0", [0], np.random.default_rng(0)),
    "device": (*STRANGE, 3, None, "cuda:99", "cpu:x", "meta", ["cpu"]),
    "precision": (*CHOICE, None, torch.float32),
    "compile": (*STRANGE, None, 1, "max"),
    "callbacks": (*STRANGE, [3], [None], ["x"], [("a", 3)], (Hostile(),), 3),
    "verbose": tuple(value for value in MAY_BE_ZERO if value is not True),
    "checkpoint_dir": ("\0", "a\0b", "\ud800", 3, True, [], Hostile(), 1.0, {"a": 1}),
    "checkpoint_every": COUNT,
}
OF_INFOMAX = {
    **dict.fromkeys(("global_weight", "local_weight"), REAL),
    **dict.fromkeys(("prior_weight", "coordinate_weight", "relative_coordinate_weight"), REAL),
    **dict.fromkeys(("classifier_weight",), REAL),
    "classifier_layer": (*CHOICE, None),
    "bound": (*CHOICE, None),
    "critic": (*CHOICE, None, {"both": "dot"}, {"local": 3}, {"local": {"local": "dot"}}),
    "critic_units": (*COUNT, (), (3, 0), {"local": 0}, {"x": 3}),
    "negatives": COUNT,
    "prior": (*CHOICE, None),
}
OF_OBJECTIVES = {
    AAE: {"prior": OF_INFOMAX["prior"], "prior_weight": REAL},
    AMDIM: {
        **dict.fromkeys(("local_weight", "conv_weight", "conv_conv_weight"), REAL),
        "bound": (*CHOICE, None),
        "critic": (*CHOICE, "map", "gaussian"),
        "negatives": COUNT,
    },
    CPC: {"n_predicted": COUNT, "critic_units": COUNT},
    VAE: {"beta": REAL},
    BiGAN: {"prior": OF_INFOMAX["prior"], "gradient_penalty": REAL},
    InfoMax: OF_INFOMAX,
}
OF_HEADS = {
    "transformer": (*CHOICE, VAE(), np.random.default_rng(0), EncoderTransformer),
    "C": (*REAL, 0, "Auto"),
    "self_training": tuple(value for value in BOOLEAN),
    "fine_tune": BOOLEAN,
    "max_epochs": COUNT,
    "layer_decay": (*REAL, 0),
    "validation_fraction": (*SHARE, None),
    **{name: WRONG[name] for name in ("batch_size", "learning_rate", "n_iter_no_change")},
    "random_state": WRONG["random_state"],
}


def draw_wrong(rng, wrong):
    """Draw a parameter and a value that it must not have."""
    name = pick(rng, wrong)
    return name, pick(rng, wrong[name])


def invalid_parameters(rng):
    """Fit an estimator of which one parameter is not valid."""
    data = pick(rng, VIEWS_OF)
    model, X, y = clone(draw_transformer(rng, data)), draw_data(rng, data), None
    way = rng.integers(3)
    if way == 0:
        model = DeepInfoMaxClassifier(model, random_state=0)
        name, value = draw_wrong(rng, OF_HEADS)
        y = draw_labels(rng, len(X))
    elif way == 1 and type(getattr(model, "objective", None)) in OF_OBJECTIVES:
        name, value = draw_wrong(rng, OF_OBJECTIVES[type(model.objective)])
        model = model.set_params(**{f"objective__{name}": value})
    else:
        known = WRONG if isinstance(model, EncoderTransformer) else OF_HEADS
        if isinstance(model, DeepInfoMaxTransformer):
            known = WRONG | OF_INFOMAX
        name, value = draw_wrong(rng, known)
    if name in model.get_params(deep=False):
        model.set_params(**{name: value})
    try:
        check_refused(lambda: model.fit(X, y), [name], unfitted=model)
    except Wrong as wrong:
        shown = "x" * 9 if isinstance(value, Hostile) else repr(value)[:200]
        raise Wrong(f"{name}={shown} of {type(model).__name__}: {wrong}") from wrong
    return f"refused {name}"
