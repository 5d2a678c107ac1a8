import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_goldens import Golden
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from xaibench.metrics.imputation import NoisyLinear, linear_imputation, pixel_noise
from xaibench.metrics.neighbour_means import fill_by_neighbour_means

ROAD = Golden("road")
MASKS = [name.removeprefix("imputation/") for name in ROAD.cases if name.startswith("imputation/")]
WEIGHTS = {(i, j): 1 / 6 if i * j == 0 else 1 / 12 for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)}


def picture(*shape, seed=0):
    return torch.randn(1, 3, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def solved_directly(image, removed):
    """The paper's equations, one row a removed pixel, by a sparse direct solver."""
    _, channels, height, width = image.shape
    holes = [tuple(pixel) for pixel in removed[0].nonzero().tolist()]
    number = {pixel: k for k, pixel in enumerate(holes)}
    matrix, right = lil_matrix((len(holes), len(holes))), np.zeros((len(holes), channels))
    for k, (i, j) in enumerate(holes):
        for (di, dj), weight in WEIGHTS.items():
            at = (i + di, j + dj)
            if 0 <= at[0] < height and 0 <= at[1] < width:
                matrix[k, k] += weight
                if at in number:
                    matrix[k, number[at]] -= weight
                else:
                    right[k] += weight * image[0, :, at[0], at[1]].numpy()
    filled = image[0].clone()
    filled[:, removed[0]] = torch.from_numpy(spsolve(matrix.tocsc(), right)).view(len(holes), channels).T
    return filled


def test_two_pixels_by_hand():
    """x = 144/12 + 108/6 + y/6 in the middle, y = 12/8 + 24/4 + 60/8 + 72/4 + x/4 at its right: 23 x = 852."""
    image = torch.tensor([[0.0, 12, 24], [36, -5, 99], [48, 60, 72]], dtype=torch.float64)[None, None]
    removed = torch.tensor([[0, 0, 0], [0, 1, 1], [0, 0, 0]], dtype=torch.bool)[None, None]
    expected = torch.tensor([[0.0, 12, 24], [36, 852 / 23, 972 / 23], [48, 60, 72]], dtype=torch.float64)
    torch.testing.assert_close(linear_imputation(image, removed, tolerance=1e-12)[0, 0], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("shape", [(14, 19), (1, 30), (23, 2), (33, 16)])
def test_direct_solution(shape, share):
    image = picture(*shape)
    removed = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < share
    removed.view(-1)[3], removed.view(-1)[4] = False, True
    filled = linear_imputation(image, removed[None, None], tolerance=1e-11)[0]
    torch.testing.assert_close(filled, solved_directly(image, removed[None]), atol=1e-8, rtol=0)


@pytest.mark.parametrize("corner", [(0, 0), (20, 31)])
def test_one_known_pixel_fills_everything(corner):
    image, removed = picture(40, 52), torch.ones(1, 1, 40, 52, dtype=torch.bool)
    removed[0, 0, corner[0], corner[1]] = False
    filled = linear_imputation(image, removed)
    torch.testing.assert_close(
        filled, image[:, :, corner[0], corner[1], None, None].expand_as(image), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_the_tolerance_is_kept_and_the_values_are_ten_times_as_exact_as_it(tolerance):
    image = picture(48, 40)
    removed = torch.zeros(1, 48, 40, dtype=torch.bool)
    removed[0, 3:45, :37] = True
    scale = image.amax(dim=(2, 3)) - image.amin(dim=(2, 3))
    filled = linear_imputation(image, removed[None], tolerance=tolerance)[0]
    error = (filled - solved_directly(image, removed)).abs().amax(dim=(1, 2)) / scale[0]
    assert 0 < float(error.max()) < 10 * tolerance


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_golden_masks(name, dtype):
    image, case = ROAD["images_raw"][:1].to(dtype), f"imputation/{name}"
    removed = ROAD[f"{case}/mask"] == 0
    filled = linear_imputation(image, removed[None, None], tolerance=1e-8)[0]
    torch.testing.assert_close(filled.double(), ROAD[f"{case}/imputed"], atol=5e-6, rtol=0)
    noisy = filled.double()
    noisy[:, removed] += 0.01 * ROAD[f"{case}/noise"]
    torch.testing.assert_close(noisy, ROAD[f"{case}/imputed_noisy"], atol=5e-6, rtol=0)


def test_the_default_tolerance_keeps_the_golden_pixels():
    image, removed = ROAD["images_raw"][:1], torch.stack([ROAD[f"imputation/{name}/mask"] == 0 for name in MASKS])
    expected = torch.stack([ROAD[f"imputation/{name}/imputed"] for name in MASKS])
    torch.testing.assert_close(linear_imputation(image, removed[:, None]), expected, atol=5e-6, rtol=0)


def test_everything_removed_is_the_channel_mean():
    image = picture(6, 7)
    removed = torch.ones(2, 1, 6, 7, dtype=torch.bool)
    removed[1, 0, 2, 2] = False
    filled = linear_imputation(image, removed)
    torch.testing.assert_close(filled[0], image.mean(dim=(2, 3))[0, :, None, None].expand(3, 6, 7))
    assert torch.equal(linear_imputation(image[:, :, :1, :1], removed[:1, :, :1, :1]), image[:, :, :1, :1])
    noisy = NoisyLinear(noise=0.5)
    torch.testing.assert_close(noisy(image), noisy.fill(image, removed[:1]))


def test_nothing_removed_is_the_image():
    image = picture(6, 7).float()
    assert torch.equal(
        NoisyLinear().fill(image, torch.zeros(2, 1, 6, 7, dtype=torch.bool)), image.expand(2, -1, -1, -1)
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000), st.floats(0.1, 0.95),
    st.floats(-3, 3), st.floats(0.1, 10),
)  # fmt: skip
def test_properties(height, width, seed, share, offset, factor):
    """Filled values lie between the known ones; an affine change of the image changes them likewise."""
    image = picture(height, width, seed=seed)
    removed = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(seed)) < share
    before = image.clone()
    filled = linear_imputation(image, removed, tolerance=1e-10)
    assert torch.equal(image, before)
    assert torch.equal(filled[~removed.expand_as(filled)], image.expand_as(filled)[~removed.expand_as(filled)])
    low, high = image.amin(dim=(2, 3), keepdim=True), image.amax(dim=(2, 3), keepdim=True)
    assert ((filled >= low - 1e-6) & (filled <= high + 1e-6)).all()
    changed = linear_imputation(factor * image + offset, removed, tolerance=1e-10)
    torch.testing.assert_close(changed, factor * filled + offset, atol=1e-6, rtol=0)


def test_a_mask_does_not_depend_on_the_others():
    image = picture(20, 24).float()
    shares = torch.tensor([0.02, 0.5, 0.95, 1.1, -1.0])[:, None, None, None]
    removed = torch.rand(5, 1, 20, 24, generator=torch.Generator().manual_seed(2)) < shares
    together = NoisyLinear().fill(image, removed)
    alone = torch.cat([NoisyLinear().fill(image, mask[None]) for mask in removed])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    turned = NoisyLinear().fill(image.contiguous(memory_format=torch.channels_last), removed.flip(0)).flip(0)
    torch.testing.assert_close(together, turned, atol=1e-6, rtol=0)


def test_a_picture_with_nan_spoils_no_other():
    pictures = torch.cat([picture(9, 9), picture(9, 9, seed=1)])
    holes = torch.zeros(2, 1, 9, 9, dtype=torch.bool)
    holes[:, :, 2:7, 2:7] = True
    expected = fill_by_neighbour_means(pictures, holes, tolerance=1e-9)[1]
    pictures[0, 1, 0, 0] = pictures[0, 1, 4, 1] = torch.nan
    filled = fill_by_neighbour_means(pictures, holes, tolerance=1e-9)
    torch.testing.assert_close(filled[1], expected, atol=1e-9, rtol=0)
    assert filled[0].isnan().any()


def test_noise():
    image, other = picture(30, 40), picture(30, 40, seed=1)
    noise = pixel_noise(image, seed=0)
    assert torch.equal(noise, pixel_noise(image.clone(), seed=0))
    for different in (pixel_noise(image, seed=1), pixel_noise(other, seed=0)):
        assert abs(float(torch.corrcoef(torch.stack([noise.flatten(), different.flatten()]))[0, 1])) < 0.06
    assert float(noise.std()) == pytest.approx(1, abs=0.04)
    removed = torch.ones(1, 1, 30, 40, dtype=torch.bool)
    removed[0, 0, 0, 0] = False
    clean = NoisyLinear(noise=0).fill(image, removed)
    torch.testing.assert_close(NoisyLinear(0.1).fill(image, removed) - clean, 0.1 * noise * removed)
    scaled = NoisyLinear(0.1, std=(0.2, 0.5, 1.0)).fill(image, removed) - clean
    torch.testing.assert_close(scaled, noise * removed * torch.tensor([0.5, 0.2, 0.1]).double()[None, :, None, None])
    state = torch.random.get_rng_state()
    NoisyLinear().fill(image, removed)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_number_of_steps_does_not_grow_with_the_hole(monkeypatch):
    """28 steps fill a hole to 1e-4 that is four times as long; without the coarser grids they do not."""
    from xaibench.metrics import neighbour_means

    monkeypatch.setattr(neighbour_means, "MOST_STEPS", 29)
    for side in (32, 128):
        image, removed = picture(side, side), torch.zeros(1, 1, side, side, dtype=torch.bool)
        removed[:, :, 2:-2, 2:-2] = True
        linear_imputation(image, removed, tolerance=1e-4)
    monkeypatch.setattr(neighbour_means, "_coarse_nodes", lambda inside: [])
    with pytest.raises(ArithmeticError, match="not filled"):
        linear_imputation(image, removed, tolerance=1e-4)


def test_errors():
    image, removed = picture(4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    removed[0, 0, 1, 1] = True
    with pytest.raises(ValueError, match="tolerance must be above 0"):
        linear_imputation(image, removed, tolerance=0.0)
    with pytest.raises(ValueError, match="noise is a standard deviation"):
        NoisyLinear(noise=-1)
    with pytest.raises(ValueError, match="each of 3 channels"):
        NoisyLinear(std=(0.5,)).fill(image, removed)
