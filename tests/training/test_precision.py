"""Training in bfloat16: what is computed in it, what is not, and where it is refused."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skdim import DeepInfoMaxTransformer
from skdim.bounds import BOUNDS, Bound
from skdim.training import check_precision, steps

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
CPU = torch.device("cpu")


@pytest.fixture
def able(monkeypatch):
    """Let a processor that can only imitate bfloat16 pass: the numbers are the same."""
    monkeypatch.setattr(steps, "has_bfloat16", lambda device: True)


@pytest.fixture
def unable(monkeypatch):
    monkeypatch.setattr(steps, "has_bfloat16", lambda device: False)


def make(**settings):
    return DeepInfoMaxTransformer(
        4, **{"max_epochs": 2, "batch_size": 8, "device": "cpu", "random_state": 0} | settings
    )


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("encoder", ["dcgan", "patch_network"])
def test_layers_compute_in_bfloat16_in_training_and_in_float32_after_it(encoder):
    seen = []

    class Watch(Callback):
        def on_train_begin(self, net, **kwargs):
            layer = net.module_[1].to_code
            layer.register_forward_hook(lambda module, given, out: seen.append(out.dtype))

    model = make(encoder=encoder, precision="bfloat16", callbacks=[Watch()]).fit(IMAGES[:8])
    in_training = seen[:-1]  # The last look at the encoder comes after training.
    assert set(in_training) == {torch.bfloat16}
    seen.clear()
    codes = model.transform(IMAGES)

    assert set(seen) == {torch.float32}
    assert codes.dtype == np.float32


@pytest.mark.usefixtures("able")
def test_weights_and_the_optimizer_stay_in_float32():
    model = make(precision="bfloat16", prior_weight=0.1, warm_start=True, max_epochs=1)
    model.fit(IMAGES[:8])
    tensors = [*model.net_.module_.parameters(), *model.net_.criterion_.parameters()]
    tensors += [s["exp_avg"] for s in model.net_.optimizer_.state.values()]

    assert {tensor.dtype for tensor in tensors} == {torch.float32}


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(
    ("critic", "negatives"), [("dot", "all"), ("concat", "all"), ("concat", "shift"), ("dot", 2)]
)
def test_bounds_are_taken_in_float32(monkeypatch, critic, negatives):
    seen = []

    def anchors(positive, negative):
        seen.extend([positive.dtype, negative.dtype])
        return BOUNDS["jsd"].anchors(positive, negative)

    monkeypatch.setitem(BOUNDS, "infonce", Bound(anchors, BOUNDS["jsd"].total))
    make(
        precision="bfloat16", critic=critic, critic_units=8, negatives=negatives, max_epochs=1
    ).fit(IMAGES[:8])

    assert set(seen) == {torch.float32}


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("encoder", ["dcgan", "patch_network"])
def test_first_loss_is_nearly_that_of_float32(encoder):
    settings = {
        "encoder": encoder,
        "critic_units": 32,
        "view": None,
        "global_weight": 0.5,
        "prior_weight": 0.1,
    }
    # One step: what follows would multiply any difference.
    plain, half = (
        make(precision=p, max_epochs=1, batch_size=24, **settings).fit(IMAGES).history_
        for p in ("float32", "bfloat16")
    )

    for term in ("local", "global", "prior", "discriminator"):
        assert half[term][0] != plain[term][0]
        assert half[term][0] == pytest.approx(plain[term][0], rel=0.02, abs=0.02)


@pytest.mark.usefixtures("able", "global_random_state_untouched")
def test_it_repeats_itself():
    once, again = (
        make(precision="bfloat16", critic_units=8, max_epochs=1).fit_transform(IMAGES[:16])
        for _ in range(2)
    )

    np.testing.assert_array_equal(once, again)


@pytest.mark.usefixtures("unable")
def test_imitated_bfloat16_is_refused():
    model = make(precision="bfloat16")
    with pytest.raises(
        ValueError, match=r"bfloat16 instructions, which cpu does not have .*float32"
    ):
        model.fit(IMAGES)

    assert not hasattr(model, "net_")


@pytest.mark.usefixtures("unable")
def test_a_refusal_costs_no_weights():
    model = make(warm_start=True).fit(IMAGES)
    codes = model.transform(IMAGES)
    with pytest.raises(ValueError, match="bfloat16 instructions"):
        model.set_params(precision="bfloat16").fit(IMAGES)

    np.testing.assert_array_equal(model.transform(IMAGES), codes)


@pytest.mark.parametrize(
    ("machine", "avx512", "amx", "arm", "able"),
    [
        ("x86_64", True, False, False, True),
        ("AMD64", False, True, False, True),
        ("x86_64", False, False, True, False),
        ("aarch64", False, False, True, True),
        ("arm64", True, True, False, False),
    ],
)
def test_processors_are_asked_for_their_instructions(monkeypatch, machine, avx512, amx, arm, able):
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: arm)

    assert steps.has_bfloat16(CPU) is able


def test_other_devices_are_refused():
    with pytest.raises(ValueError, match="which meta does not have"):
        check_precision("bfloat16", torch.device("meta"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_it_trains_on_cuda():
    model = make(precision="bfloat16", device="cuda").fit(IMAGES)

    assert np.isfinite(model.transform(IMAGES)).all()
