"""Fixed features of patches, against a loop that cuts out every patch."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, pad

from skdim import DeepInfoMaxTransformer
from skdim.encoders import AbstractStem, Adaptable, LinearEncoder, PatchEncoder, check_features
from skdim.encoders.patches import (
    PatchLayer,
    PatchStem,
    map_side,
    principal_pairs,
    spherical_kmeans,
)
from skdim.estimators.build import adapt_encoder, build_encoder
from skdim.inputs import ArraySamples, Layout
from tests.encoders.helpers import adapt, draw, seeded

patient = settings(deadline=None, max_examples=15)  # The machine may be busy.


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    monkeypatch.setattr("skdim.encoders.patches.DRAWN", 2000)


def images(n, *sample, seed=0):
    """Blurred noise: neighbours are alike, as in photographs."""
    noise = torch.randn(n, *sample, generator=torch.Generator().manual_seed(seed))
    blurred = avg_pool2d(pad(noise, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    return blurred / blurred.std()


def with_seed(seed, make):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def make_layer(x, side=3, rank=10, n_filters=7, damping=0.1, seed=0, parity=None, **kwargs):
    def make():
        layer = PatchLayer(x.shape[1], side, rank, n_filters, damping, **kwargs)
        layer.adapt(x, torch.ones(x.shape[1]) if parity is None else parity)
        return layer

    return with_seed(seed, make)


def make_stem(sample, seed=0, x=None, n_filters=6, n_second=8, **kwargs):
    def make():
        stem = PatchStem(sample, n_filters=n_filters, n_second=n_second, **kwargs)
        adapt(stem, images(30, *sample) if x is None else x)
        return stem

    return with_seed(seed, make)


def make_encoder(sample, n_components=3, seed=0, x=None, **kwargs):
    narrow = {"n_filters": 6, "n_second": 8, "n_expanded": 5}
    kwargs = narrow | {"hidden_units": 16, "local_units": 8} | kwargs

    def make():
        encoder = PatchEncoder(sample, n_components, **kwargs)
        adapt(encoder, images(30, *sample) if x is None else x)
        return encoder

    return with_seed(seed, make).eval()


def every_patch(x, side):
    """Cut out all patches of all maps; shape (n, rows, columns, channels * side * side)."""
    rows, columns = (length - side + 1 for length in x.shape[2:])
    return torch.stack(
        [
            torch.stack(
                [x[:, :, i : i + side, j : j + side].flatten(1) for j in range(columns)], dim=1
            )
            for i in range(rows)
        ],
        dim=1,
    )


def slow_layer(layer, x, grid):
    """Whiten every patch, bring it to unit length, compare it with both signs of each filter."""
    whiten = layer.whiten.flatten(1)
    whitened = every_patch(x, layer.side) @ whiten.T
    length = (whitened.square().sum(dim=-1, keepdim=True) + layer.floor).sqrt()
    response = whitened / length @ layer.filters.T
    signs = [(sign * response - 0.5).clamp(min=0).movedim(-1, 1) for sign in (1, -1)]
    return adaptive_avg_pool2d(torch.cat(signs, dim=1), grid)


def slow_average(maps):
    """Average each filter's channel with that of its mirror image, mirrored, for both signs."""
    n = maps.shape[1] // 2
    pairs = [(sign * n + k, sign * n + n // 2 + k) for sign in (0, 1) for k in range(n // 2)]
    return torch.stack([(maps[:, i] + maps[:, j].flip(-1)) / 2 for i, j in pairs], dim=1)


# ---------------------------------------------------------------------------------------------
# One layer


@pytest.mark.parametrize("grid", [(2, 2), (1, 3), (4, 5)])
@pytest.mark.parametrize(("sample", "side"), [((1, 6, 7), 3), ((3, 9, 8), 4), ((2, 5, 5), 1)])
def test_a_layer_equals_a_loop_over_all_patches(sample, side, grid):
    layer, x = make_layer(images(40, *sample), side), images(3, *sample, seed=1)

    torch.testing.assert_close(layer(x, grid), slow_layer(layer, x, grid), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("at_once", [1, 200, 400])
def test_a_layer_in_parts_of_its_filters_equals_the_whole(monkeypatch, mirrored, at_once):
    x = images(40, 3, 8, 8)
    layer = make_layer(x, n_filters=8, mirrored=mirrored)
    whole = layer(x, (2, 2))

    monkeypatch.setattr("skdim.encoders.patches.RESPONSES", at_once)

    torch.testing.assert_close(layer(x, (2, 2)), whole, rtol=1e-5, atol=1e-6)


def test_responses_are_blind_to_the_light_of_an_image():
    x = images(40, 1, 8, 8)
    layer = make_layer(x)

    torch.testing.assert_close(layer(x + 3.0, (2, 2)), layer(x, (2, 2)), atol=1e-4, rtol=1e-4)


def test_responses_hardly_change_with_contrast_where_there_is_some():
    x = images(40, 1, 8, 8)
    layer = make_layer(x)
    plain, strong = layer(x, (2, 2)), layer(3 * x, (2, 2))

    assert (plain - strong).abs().mean() < 0.1 * plain.mean()


def test_responses_to_the_patches_of_training_have_a_spread_of_about_one():
    x = images(60, 1, 10, 10)
    layer = make_layer(x, n_filters=20)
    whitened = every_patch(x, 3) @ layer.whiten.flatten(1).T
    response = torch.nn.functional.normalize(whitened, dim=-1) @ layer.filters.T

    assert response.std().item() == pytest.approx(1, abs=0.1)


def test_whitened_patches_have_equal_variances_in_all_kept_components_up_to_the_damping():
    """Of contrast-normalised patches, that is; the damping takes most from the smallest."""
    x = images(200, 1, 10, 10)
    layer = make_layer(x, rank=8, damping=0.0)
    patches = every_patch(x, 3).flatten(0, 2)
    normal = patches - patches.mean(dim=1, keepdim=True)
    normal = normal / (normal.square().mean(dim=1, keepdim=True) + 0.0025).sqrt()
    covariance = torch.cov((normal @ layer.whiten.flatten(1).T).T)

    torch.testing.assert_close(covariance, torch.eye(8), atol=0.25, rtol=0)


def test_the_rank_is_at_most_the_size_of_a_patch():
    assert PatchLayer(2, 3, 100, 5, 0.1).whiten.shape == (18, 2, 3, 3)
    assert PatchLayer(2, 3, 7, 5, 0.1).whiten.shape == (7, 2, 3, 3)


def test_drawn_patches_are_patches_of_the_images():
    x = images(4, 2, 5, 6)
    layer = PatchLayer(2, 3, 10, 4, 0.1)
    drawn = seeded(layer.draw_patches, x)
    known = {tuple(patch) for patch in every_patch(x, 3).flatten(0, 2).tolist()}

    assert drawn.shape == (4 * 10, 18)  # Ten an image.
    assert {tuple(patch) for patch in drawn.tolist()} <= known


def test_centroids_have_unit_length_and_point_at_the_clusters():
    centers = torch.nn.functional.normalize(torch.eye(5, 8) + 0.1, dim=1)
    x = torch.nn.functional.normalize(
        centers.repeat_interleave(100, 0) + 0.02 * draw(500, 8), dim=1
    )
    centroids = with_seed(1, lambda: spherical_kmeans(x, 12, torch.ones(8)))
    cosines = centroids @ centers.T

    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(12))
    # A cluster may have several centroids, each on a side of it, or share one with another.
    assert (cosines.max(dim=1).values > 0.85).all()
    assert (cosines.max(dim=1).values > 0.99).sum() >= 6
    assert len(cosines.argmax(dim=1).unique()) >= 4


def test_a_cluster_of_no_rows_keeps_its_centroid():
    x = torch.nn.functional.normalize(torch.ones(3, 4), dim=1)
    centroids = seeded(spherical_kmeans, x, 6, torch.ones(4))

    torch.testing.assert_close(centroids, x[:1].expand(6, -1))


def test_a_row_and_its_mirror_image_are_clustered_as_one():
    """Each center is seen from both sides; one centroid stands for both."""
    signs = torch.tensor([1.0, 1, 1, 1, -1, -1, -1, -1])
    centers = torch.nn.functional.normalize(torch.eye(3, 8) + torch.eye(8)[4:7], dim=1)
    x = centers.repeat_interleave(200, 0) + 0.02 * draw(600, 8)
    x = torch.nn.functional.normalize(torch.cat([x[::2], x[1::2] * signs]), dim=1)
    centroids = with_seed(0, lambda: spherical_kmeans(x, 8, signs))
    cosines = torch.stack([centroids @ centers.T, centroids * signs @ centers.T]).amax(dim=0)

    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(8))
    assert (cosines.amax(dim=1) > 0.99).all()
    assert len(cosines.argmax(dim=1).unique()) == 3


# ---------------------------------------------------------------------------------------------
# Mirrored layers


def mirror_of(channels, side, parity):
    """Return the matrix that mirrors patches, flat, by mirroring every unit vector."""
    unit = torch.eye(channels * side * side).reshape(-1, channels, side, side)
    return (unit.flip(3) * parity[:, None, None]).flatten(1)


@pytest.mark.parametrize("parity", [(1.0, 1.0), (1.0, -1.0)], ids=str)
def test_principal_pairs_are_axes_that_mirroring_keeps_or_turns_round(parity):
    mirror = mirror_of(2, 3, torch.tensor(parity)).double()
    draws = draw(50, 18).double()
    covariance = draws.T @ draws / 50
    variances, axes, signs = principal_pairs(covariance, mirror)
    both = (covariance + mirror @ covariance @ mirror) / 2

    torch.testing.assert_close(axes.T @ axes, torch.eye(18).double())
    torch.testing.assert_close(mirror @ axes, axes * signs)
    torch.testing.assert_close(axes.T @ both @ axes, torch.diag(variances))
    assert (variances.diff() <= 0).all()
    assert set(signs.tolist()) == {1.0, -1.0}
    assert signs.sum() == mirror.trace()


def test_principal_pairs_without_a_mirror_are_principal_axes():
    draws = draw(50, 6).double()
    covariance = draws.T @ draws / 50
    variances, axes, signs = principal_pairs(covariance, torch.eye(6).double())
    expected = torch.linalg.eigh(covariance)

    torch.testing.assert_close(variances, expected[0].flip(0))
    torch.testing.assert_close((axes.T @ expected[1].flip(1)).abs(), torch.eye(6).double())
    assert (signs == 1).all()


@pytest.mark.parametrize("grid", [(2, 2), (3, 5)])
@pytest.mark.parametrize("parity", [(1.0, 1.0), (1.0, -1.0)], ids=str)
@pytest.mark.parametrize("width", [8, 9])
def test_a_mirrored_layer_gives_for_a_mirrored_map_the_same_in_another_order(width, parity, grid):
    parity = torch.tensor(parity)
    x = images(40, 2, 7, width)
    layer = make_layer(x, n_filters=8, mirrored=True, parity=parity)
    mirrored = x.flip(3) * parity[:, None, None]
    plain, other = (layer(maps[:5], grid) for maps in (x, mirrored))

    torch.testing.assert_close(layer.swapped(other.flip(3)), plain, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(layer.averaged(other), layer.averaged(plain), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(layer.averaged(plain), slow_average(plain))
    assert not torch.allclose(other.flip(3), plain, atol=1e-2)


def test_a_mirrored_layer_equals_a_loop_over_all_patches():
    x = images(40, 3, 8, 9)
    layer = make_layer(x, n_filters=8, mirrored=True)

    torch.testing.assert_close(layer(x, (2, 2)), slow_layer(layer, x, (2, 2)), rtol=1e-4, atol=1e-5)


def test_filters_of_a_mirrored_layer_lie_in_pairs_of_mirror_images():
    """As patches: each filter of the second half is one of the first half, mirrored."""
    layer = make_layer(images(60, 3, 8, 8), rank=12, n_filters=10, mirrored=True)
    patches = torch.einsum("kr,rcij->kcij", layer.filters, layer.whiten)

    torch.testing.assert_close(patches[10:], patches[:10].flip(3), atol=1e-3, rtol=1e-3)


def test_what_a_plain_layer_gives_is_not_averaged():
    layer, maps = PatchLayer(1, 3, 5, 4, 0.1), images(2, 8, 3, 3)

    assert torch.equal(layer.averaged(maps), maps)


def test_swapping_twice_changes_nothing():
    layer, maps = PatchLayer(1, 3, 5, 4, 0.1, mirrored=True), images(2, 8, 3, 3)
    swapped = layer.swapped(maps)

    assert torch.equal(swapped, maps[:, [2, 3, 0, 1, 6, 7, 4, 5]])
    assert torch.equal(layer.swapped(swapped), maps)


# ---------------------------------------------------------------------------------------------
# The stem


def asymmetry_of(stem, x):
    """Return the largest difference of features between images and their mirror images."""
    plain = stem(x)
    return ((stem(x.flip(3)) - plain).abs().max() / plain.abs().max()).item()


@pytest.mark.parametrize(
    "sample", [(3, 8, 8), (3, 9, 13), (3, 20, 17), (3, 32, 32), (3, 32, 33), (3, 50, 64)], ids=str
)
def test_a_colour_image_and_its_mirror_image_have_the_same_features(sample):
    x = images(5, *sample, seed=1)
    stem = make_stem(sample, n_filters=8)

    torch.testing.assert_close(stem(x.flip(3)).square(), stem(x).square(), atol=1e-4, rtol=1e-3)
    assert not torch.allclose(stem(x[:4]), stem(x[1:]), atol=0.05)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_images_and_their_mirror_images_have_other_features(channels):
    sample = (channels, 12, 12)

    assert asymmetry_of(make_stem(sample), images(5, *sample, seed=1)) > 0.1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mirrored", [True, False])
def test_whether_mirror_images_have_the_same_features_can_be_chosen(channels, mirrored):
    x = images(5, channels, 12, 11, seed=1)
    stem = make_stem(x.shape[1:], mirrored=mirrored)
    encoder = make_encoder(x.shape[1:], mirrored=mirrored)

    assert stem.out_shape[0] == encoder.stem.out_shape[0] == 28
    assert len(stem.first.filters) == (12 if mirrored else 6)
    for each in (stem, encoder.stem):
        assert (asymmetry_of(each, x) < 0.01) == mirrored


@pytest.mark.parametrize(
    ("sample", "shrink", "side", "positions", "grid"),
    [
        ((1, 8, 8), 1, 3, (6, 6), 2),
        ((1, 28, 28), 1, 5, (8, 8), 3),
        ((3, 32, 32), 1, 6, (9, 9), 3),
        ((2, 48, 64), 2, 5, (7, 9), 2),
        ((3, 96, 96), 3, 6, (9, 9), 3),
        ((1, 8, 40), 1, 3, (6, 13), 2),
    ],
)
def test_sizes_follow_from_the_image(sample, shrink, side, positions, grid):
    stem = PatchStem(sample, n_filters=6, n_second=8)

    assert stem.shrink == shrink
    assert stem.first.side == side
    assert stem.map == positions
    assert stem.second.side == 3
    # Both signs of each filter; of colour images, averaged over an image and its mirror image.
    assert stem.out_shape == (28, grid, grid)
    assert PatchStem(sample, n_filters=6, n_second=8, grid=4).out_shape == (28, 4, 4)
    each = 2 if sample[0] == 3 else 1
    assert stem.first.filters.shape[0] == 6 * each
    assert stem.second.filters.shape[0] == 8 * each


@given(st.integers(1, 500))
def test_the_first_map_has_cells_of_three_places_but_six_at_least(side):
    cells = map_side(side)

    assert cells == side if side <= 6 else cells == max(6, round(side / 3))


@patient
@given(st.integers(1, 4), st.integers(8, 40), st.integers(8, 40))
def test_any_image_of_eight_pixels_or_more_is_encoded(channels, height, width):
    x = images(3, channels, height, width)
    encoder = make_encoder(x.shape[1:], 4, x=x)
    features, grid = encoder(x), encoder.stem.out_shape[1:]

    check_features(features, 3, "patches")
    assert features.local.shape == (3, 8, *grid)
    assert features.conv.shape == (3, 28 + 5, *grid)
    assert features.hidden.shape == (3, 16)
    assert features.code.shape == (3, 4)


@pytest.mark.parametrize("sample", [(1, 8, 8), (3, 20, 17), (2, 50, 64), (3, 29, 33)])
def test_the_stem_equals_its_layers_one_after_the_other(sample):
    stem, x = make_stem(sample), images(3, *sample, seed=1)
    small = avg_pool2d(x, stem.shrink)
    maps = slow_layer(stem.first, small, stem.map)
    reduced = torch.einsum("nchw,cd->ndhw", maps - stem.center[:, None, None], stem.channels)
    grid = stem.out_shape[1:]
    both = [adaptive_avg_pool2d(maps, grid), slow_layer(stem.second, reduced, grid)]
    if sample[0] == 3:
        both = [slow_average(maps) for maps in both]
    expected = torch.cat(both, dim=1).clamp(min=0).sqrt()

    assert expected.shape[1:] == stem.out_shape
    torch.testing.assert_close(stem(x).square(), expected.square(), rtol=1e-3, atol=1e-4)


def test_reduced_channels_are_uncorrelated():
    stem, x = make_stem((1, 12, 12), x=images(200, 1, 12, 12)), images(200, 1, 12, 12)
    reduced = stem.reduced(stem.first(x, stem.map)).movedim(1, 0).flatten(1)
    covariance = torch.cov(reduced)
    off_diagonal = covariance - torch.diag(covariance.diagonal())

    assert off_diagonal.abs().max() < 0.1
    assert (covariance.diagonal()[:6] > 0.5).all()
    assert (covariance.diagonal() < 1.1).all()


@pytest.mark.parametrize("sample", [(3, 7, 32), (3, 32, 7), (64,), (1, 1, 1)])
def test_what_is_too_small_is_refused_with_the_least_size(sample):
    with pytest.raises(ValueError, match=r"encoder='patches'.*at least 8x8 pixels.*have shape"):
        PatchEncoder(sample, 8)


def test_images_that_do_not_fit_the_cache_at_once_are_encoded_alike():
    stem, x = make_stem((1, 8, 8)), images(40, 1, 8, 8, seed=1)

    torch.testing.assert_close(stem(x)[30:], stem(x[30:]))
    torch.testing.assert_close(stem(x), stem.respond(x), atol=1e-5, rtol=1e-4)


def test_an_image_is_encoded_by_itself():
    encoder, x = make_encoder((2, 9, 8)), images(20, 2, 9, 8, seed=1)
    others = torch.cat([x[:1], images(19, 2, 9, 8, seed=2)])

    torch.testing.assert_close(encoder(others).conv[0], encoder(x).conv[0])
    torch.testing.assert_close(encoder(others).code[0], encoder(x).code[0])


@pytest.mark.parametrize(("grid", "side"), [(2, 23), (3, 20)])
def test_a_cell_sees_its_part_of_the_image_only(grid, side):
    stem, x = make_stem((1, 32, 32), grid=grid), images(1, 1, 32, 32, seed=1)
    inside, outside = x.clone(), x.clone()
    inside[..., side - 1, side - 1] += 1
    outside[..., side:, :] += 1
    outside[..., :, side:] += 1
    cell, changed, same = (stem(each)[0, :, 0, 0] for each in (x, inside, outside))

    assert not torch.equal(changed, cell)
    assert torch.equal(same, cell)


def test_filters_repeat_with_the_seed():
    one, same, other = (make_stem((1, 8, 8), seed=seed) for seed in (0, 0, 1))

    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), same.buffers(), strict=True))
    assert not torch.equal(one.first.filters, other.first.filters)
    assert not torch.equal(one.second.filters, other.second.filters)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
@pytest.mark.parametrize("n", [1, 2])
def test_equal_images_give_finite_features(value, n):
    x = torch.full((n, 3, 8, 8), value)
    encoder = make_encoder((3, 8, 8), x=x)

    for given_ in (x, images(2, 3, 8, 8)):
        features = encoder(given_)
        assert all(getattr(features, layer).isfinite().all() for layer in ("conv", "code"))


def test_the_stem_has_buffers_but_no_weights():
    stem = make_stem((1, 8, 8))

    assert not list(stem.parameters())
    assert {"first.filters", "second.whiten", "center", "channels"} < set(stem.state_dict())
    assert not any(buffer.requires_grad for buffer in stem.buffers())


def test_the_stem_is_kept_but_not_trained_by_gradients():
    X = images(40, 1, 8, 8).numpy()
    narrow = partial(PatchEncoder, n_filters=6, n_second=8, hidden_units=16)
    first, second = (
        DeepInfoMaxTransformer(4, encoder=narrow, max_epochs=n, random_state=0).fit(X).encoder_[1]
        for n in (1, 2)
    )

    for name, buffer in first.stem.state_dict().items():
        assert torch.equal(buffer, second.stem.state_dict()[name]), name
    assert not torch.equal(first.to_code.weight, second.to_code.weight)


def test_it_is_linear_in_a_stem_and_asks_to_be_adapted():
    encoder = PatchEncoder((1, 8, 8), 2)

    assert isinstance(encoder, Adaptable)
    assert isinstance(encoder, LinearEncoder)
    assert isinstance(encoder.stem, AbstractStem)
    assert encoder.stem.out_shape == (768, 2, 2)
    assert PatchEncoder((3, 8, 8), 2).stem.out_shape == (1024, 2, 2)
    assert encoder.mean.shape == (1024, 2, 2)


def test_the_code_may_be_larger_than_the_hidden_layer_asked_for():
    encoder = make_encoder((1, 8, 8), n_components=30)

    assert encoder(images(2, 1, 8, 8)).hidden.shape == (2, 30)


@pytest.mark.parametrize("name", ["patches", "patch_network"])
def test_adapting_reads_few_samples_at_once_whatever_their_size(monkeypatch, name):
    layout = Layout((1, 96, 80))
    rows = ArraySamples(images(20, 1, 96, 80).flatten(1).numpy(), layout)
    module = build_encoder(name, 4, layout)
    sizes, reduce = [], module[1].reduce

    def watched(x, n):
        sizes.append(len(x))
        assert n == 20
        return reduce(x, n)

    monkeypatch.setattr(module[1], "reduce", watched)
    monkeypatch.setattr("skdim.estimators.build.ADAPTING_VALUES", 8 * layout.n_features)
    with_seed(0, lambda: adapt_encoder(module, rows))
    assert sizes == [8, 8, 4]
    if name == "patches":
        whole = build_encoder(name, 4, layout)
        monkeypatch.undo()
        with_seed(0, lambda: adapt_encoder(whole, rows))
        assert torch.equal(whole[1].stem.first.filters, module[1].stem.first.filters)
