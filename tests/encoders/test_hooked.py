"""A user's backbone as an encoder: its layers by name, and nothing left behind in it."""

import copy
import gc
import pickle
import threading
import weakref
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.encoders import HookedEncoder
from tests.encoders.helpers import draw, seeded, sizes


class Backbone(nn.Module):
    """Shaped like networks of torchvision: a stem, stages, a pool, and a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.layer1 = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(12, 16, 3, 2, 1), nn.ReLU())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)
        self.unused = nn.Linear(3, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(self.stem(x)))
        return self.fc(self.avgpool(x).flatten(1))


class Tokens(nn.Module):
    """Shaped like a transformer: patches become tokens, channels last; the output is a tuple."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(2, 6, 4, stride=4)
        self.block = nn.TransformerEncoderLayer(6, 2, 12, dropout=0.0, batch_first=True)
        self.norm = nn.LayerNorm(6)

    def forward(self, x):
        tokens = self.block(self.embed(x).flatten(2).mT)
        return tokens, self.norm(tokens.mean(dim=1))


SAMPLE = (2, 8, 12)
BACKBONE = seeded(Backbone)
NAMES = {"local": "layer1", "conv": "layer2", "hidden": "avgpool"}


def hook(**kwargs):
    kwargs = {"backbone": BACKBONE, "local": "layer1"} | kwargs
    return seeded(HookedEncoder, SAMPLE, 5, **kwargs)


# ---------------------------------------------------------------------------------------------
# What is taken


def test_layers_are_those_named():
    encoder = hook(**NAMES).eval()
    backbone = copy.deepcopy(BACKBONE).eval()
    x = draw(3, *SAMPLE)
    features = encoder(x)
    local = backbone.layer1(backbone.stem(x))
    conv = backbone.layer2(local)
    hidden = conv.mean(dim=(2, 3))

    torch.testing.assert_close(features.local, local)
    torch.testing.assert_close(features.conv, conv)
    torch.testing.assert_close(features.hidden, hidden)
    torch.testing.assert_close(features.code, encoder.to_code(hidden))
    assert sizes(features) == ((12, 4, 6), (16, 2, 3), (16,), (5,))


def test_what_is_not_named_is_the_local_map_and_the_output():
    encoder = hook().eval()
    x = draw(3, *SAMPLE)
    features = encoder(x)

    assert torch.equal(features.conv, features.local)
    torch.testing.assert_close(features.hidden, copy.deepcopy(BACKBONE).eval()(x))
    assert encoder.to_code.in_features == 10


def test_without_a_head_the_output_is_the_code():
    features = hook(head=False, hidden="avgpool").eval()(draw(3, *SAMPLE))

    assert sizes(features) == ((12, 4, 6), (12, 4, 6), (16,), (10,))
    assert not any("to_code" in name for name, _ in hook(head=False).named_parameters())


def test_layers_inside_layers_are_named_with_dots():
    features = hook(local="stem.0", hidden="layer2.1").eval()(draw(3, *SAMPLE))

    assert features.local.shape == (3, 8, 8, 12)
    assert features.hidden.shape == (3, 16 * 2 * 3)


def test_tokens_have_their_channels_last():
    encoder = seeded(
        HookedEncoder, SAMPLE, 5, backbone=Tokens(), local="block", hidden="norm", channel_axis=-1
    )
    features = encoder(draw(3, *SAMPLE))

    assert sizes(features) == ((6, 6), (6, 6), (6,), (5,))
    torch.testing.assert_close(
        features.hidden, encoder.backbone.norm(features.local.mean(dim=2)), atol=1e-5, rtol=1e-5
    )


def test_of_a_layer_that_runs_twice_the_last_time_counts():
    relu = nn.ReLU()
    backbone = nn.Sequential(nn.Conv2d(2, 4, 3), relu, nn.Conv2d(4, 6, 3), relu, nn.Flatten())
    features = hook(backbone=backbone, local="1")(draw(3, *SAMPLE))

    assert features.local.shape == (3, 6, 4, 8)


def test_gradients_reach_what_lies_before_the_code():
    encoder = hook(**NAMES)
    features = encoder(draw(3, *SAMPLE))
    (features.code.square().sum() + features.local.sum()).backward()
    moved = {name for name, weight in encoder.named_parameters() if weight.grad is not None}

    assert not any("fc" in name or "unused" in name for name in moved)
    assert {"backbone.stem.0.weight", "backbone.layer2.0.weight", "to_code.weight"} <= moved


# ---------------------------------------------------------------------------------------------
# Nothing is left behind


def test_the_backbone_is_copied_and_not_changed():
    before = copy.deepcopy(BACKBONE.state_dict())
    encoder = hook(**NAMES)
    encoder(draw(3, *SAMPLE)).code.sum().backward()

    assert not any(module._forward_hooks for module in BACKBONE.modules())  # noqa: SLF001
    assert all(torch.equal(before[name], value) for name, value in BACKBONE.state_dict().items())
    assert all(weight.grad is None for weight in BACKBONE.parameters())


def test_making_one_moves_no_statistics():
    encoder = hook()

    assert encoder.training
    assert encoder.backbone.stem[1].training
    assert encoder.backbone.stem[1].num_batches_tracked == 0
    assert torch.equal(encoder.backbone.stem[1].running_mean, torch.zeros(8))


def test_evaluation_mode_reaches_the_backbone():
    encoder, x = hook(), draw(3, *SAMPLE)
    in_training = encoder(x).code

    assert encoder.backbone.stem[1].num_batches_tracked == 1
    assert not torch.allclose(encoder.eval()(x).code, in_training)
    assert encoder.backbone.stem[1].num_batches_tracked == 1


def test_no_activation_outlives_its_features():
    encoder = hook(**NAMES)
    features = encoder(draw(3, *SAMPLE))
    watched = [weakref.ref(features.local), weakref.ref(features.conv)]
    del features
    gc.collect()

    assert [watch() for watch in watched] == [None, None]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_take_their_own_layers(copied):
    encoder, x = hook(**NAMES).eval(), draw(3, *SAMPLE)
    encoder(x)
    other = copied(encoder)
    assert all(torch.equal(a, b) for a, b in zip(layers(encoder, x), layers(other, x), strict=True))

    with torch.no_grad():
        other.backbone.layer1[0].weight.zero_()
        other.backbone.layer1[0].bias.fill_(2.0)

    assert (other(x).local == 2).all()
    assert not (encoder(x).local == 2).any()


def layers(encoder, x):
    features = encoder(x)
    return features.local, features.conv, features.hidden, features.code


def test_threads_do_not_mix_their_passes():
    """Each waits inside the backbone until the other is inside too."""
    both_inside = threading.Barrier(2, timeout=30)

    class Waiting(nn.Module):
        def forward(self, x):
            if x.shape[0] > 2:  # not while the sizes are found
                both_inside.wait()
            return x.clone()

    backbone = nn.Sequential(Waiting(), nn.Conv2d(2, 3, 3), Waiting(), nn.Flatten())
    encoder = hook(backbone=backbone, local="1").eval()
    inputs = [draw(3, *SAMPLE, seed=seed) for seed in (1, 2)]
    found = {}

    def encode(number):
        found[number] = encoder(inputs[number]).local

    threads = [threading.Thread(target=encode, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for number, x in enumerate(inputs):
        assert torch.equal(found[number], encoder.backbone[1](x))


def test_a_pass_that_fails_leaves_nothing():
    encoder = hook().eval()
    with pytest.raises(RuntimeError):
        encoder(torch.zeros(3, 7, 8, 12))
    encoder.backbone(draw(3, *SAMPLE))  # alone: nothing is kept, nothing fails

    assert encoder(draw(3, *SAMPLE)).local.shape == (3, 12, 4, 6)


def test_one_inside_another():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(2, 2, 1)
            self.inner = hook()
            self.last = nn.Linear(5, 4)

        def forward(self, x):
            return self.last(self.inner(self.first(x)).code)

    encoder = hook(backbone=Outer(), local="first", hidden="last").eval()

    assert sizes(encoder(draw(3, *SAMPLE))) == (SAMPLE, SAMPLE, (4,), (5,))


def test_compiled_features_are_the_same():
    encoder, x = hook(**NAMES).eval(), draw(3, *SAMPLE)
    compiled = torch.compile(encoder, backend="eager")

    for whole, plain in zip(layers(compiled, x), layers(encoder, x), strict=True):
        torch.testing.assert_close(whole, plain)
    torch.compiler.reset()


# ---------------------------------------------------------------------------------------------
# In the transformer


def images(n=12):
    return draw(n, *SAMPLE).numpy()


def make(**kwargs):
    encoder = partial(HookedEncoder, **({"backbone": BACKBONE} | NAMES | kwargs.pop("names", {})))
    settings = {"max_epochs": 1, "batch_size": 6, "random_state": 0, "channel_axis": 1}
    return DeepInfoMaxTransformer(**(settings | {"n_components": 4, "encoder": encoder} | kwargs))


def test_the_transformer_says_how_many_components():
    assert make(n_components=3).fit_transform(images()).shape == (12, 3)
    assert make(n_components=3, names={"head": False}).fit_transform(images()).shape == (12, 10)
    assert make(output="local").fit_transform(images()).shape == (12, 12 * 4 * 6)


def test_fitted_transformers_are_cloned_pickled_and_exact():
    X, dim = images(), make(global_weight=0.5, prior_weight=0.1).fit(images())
    codes = dim.transform(X)

    assert np.array_equal(pickle.loads(pickle.dumps(dim)).transform(X), codes)
    assert np.array_equal(clone(dim).fit(X).transform(X), codes)
    assert np.array_equal(dim.transform(X[3:5]), codes[3:5])


def test_weights_of_the_backbone_train_along_or_stay():
    trained = make().fit(images()).encoder_[1].module.backbone
    still = copy.deepcopy(BACKBONE).requires_grad_(False)
    kept = make(names={"backbone": still}).fit(images()).encoder_[1].module.backbone

    assert not torch.equal(trained.layer1[0].weight, BACKBONE.layer1[0].weight)
    assert torch.equal(kept.layer1[0].weight, BACKBONE.layer1[0].weight)


def test_backbones_of_signals():
    backbone = nn.Sequential(nn.Conv1d(3, 6, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1))
    encoder = partial(HookedEncoder, backbone=backbone, local="1")
    encoder.takes_signals = True
    dim = make(encoder=encoder, channel_axis=None).fit(draw(12, 3, 20).numpy())

    assert dim.encode(draw(2, 3, 20).numpy(), "local").shape == (2, 6, 16)


# ---------------------------------------------------------------------------------------------
# Mistakes


def test_names_that_are_not_there_are_answered_with_those_that_are():
    with pytest.raises(ValueError, match="The backbone Backbone has no layer 'layer_1'") as raised:
        hook(local="layer_1")
    assert "'layer1'" in str(raised.value)
    with pytest.raises(ValueError, match=r"no layer 'xyz'. Among its 13 layers are 'stem', "):
        hook(hidden="xyz")


def test_layers_that_are_not_passed_are_named():
    with pytest.raises(ValueError, match="The backbone did not call its layer 'unused'"):
        hook(local="unused")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({"local": "0"}, "The layer '0' of the backbone returned a tuple of 2: a tensor of shape"),
        (
            {"local": "1"},
            "The backbone returned an object of type dict. Name a layer that returns",
        ),
    ],
)
def test_what_is_no_tensor_is_named(names, text):
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    class First(nn.Module):
        def forward(self, pair):
            return pair[0]

    class Named(nn.Module):
        def forward(self, x):
            return {"x": x}

    with pytest.raises(TypeError, match=text):
        hook(backbone=nn.Sequential(Pair(), First(), Named()), **names)
