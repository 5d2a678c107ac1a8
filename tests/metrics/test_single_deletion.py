"""Single deletion of grid cells: the authors' correlations, and a linear model's exact map."""

import numpy as np
import pytest
import torch
from linear_models import linear_case
from metric_goldens import Golden
from scipy.stats import spearmanr

from xaibench.metrics.incremental_deletion import IncrementalDeletion
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import draw_metric
from xaibench.metrics.regions import Grid
from xaibench.metrics.single_deletion import SingleDeletion

GOLDEN = Golden("faithfulness")
IMAGES, LABELS = GOLDEN["single_deletion/images_square"], GOLDEN["single_deletion/labels"]


def second_network():
    network = GOLDEN.network()
    network.load_state_dict({name: GOLDEN[f"single_deletion/net2.{name}"] for name in network.state_dict()})
    return network


def test_the_authors_correlations():
    maps = GOLDEN["single_deletion/attributions_square"].sum(dim=1)
    found = SingleDeletion().scores(second_network(), IMAGES, LABELS, maps[:, None])
    expected = GOLDEN["single_deletion/correlations"]
    torch.testing.assert_close(found.values[:, 0], expected, atol=1e-9, rtol=0, equal_nan=True)
    assert [bool(reason) for (reason,) in found.reasons] == [False, False, True, False]
    defined = found.values[~found.values.isnan()]
    assert float(defined.mean()) == pytest.approx(float(GOLDEN["single_deletion/mean_of_program"]), abs=1e-9)


@pytest.mark.parametrize(("case", "first"), [("ascending", "least"), ("descending", "most")])
def test_the_authors_incremental_deletion(case, first):
    metric = IncrementalDeletion(order=Order(ties="raster", first=first))
    maps = GOLDEN[f"incremental_deletion/{case}/maps"]
    found = draw_metric(second_network(), IMAGES, LABELS, maps[:, None], metric)
    torch.testing.assert_close(found.curve_y[:, 0], GOLDEN[f"incremental_deletion/{case}/curve"], atol=1e-9, rtol=0)
    assert float(found.values.mean()) == pytest.approx(float(GOLDEN[f"incremental_deletion/{case}/mean"]), abs=1e-9)
    assert found.curve_x[0, 0].tolist() == [i / 32 for i in range(32)]


def test_a_linear_models_exact_map_is_perfect_on_any_size():
    model, images, targets, exact = linear_case(n_images=3, size=(7, 9))
    found = SingleDeletion(rows=3, columns=2).scores(model, images, targets, torch.stack([exact, -exact], dim=1))
    torch.testing.assert_close(found.values, torch.tensor([[1.0, -1.0]] * 3, dtype=torch.float64))
    assert model.n_seen == 3 * 7
    assert float(found.forward_passes.sum()) == model.n_seen


def test_any_other_map_against_scipy():
    model, images, targets, exact = linear_case(n_images=2, size=(8, 8))
    maps = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = SingleDeletion().scores(model, images, targets, maps[:, None])
    cells = Grid(4, 4)(images)
    for b in range(2):
        sums, drops = ([float(values[b][cells[b] == s].sum()) for s in range(16)] for values in (maps, exact))
        assert float(found.values[b, 0]) == pytest.approx(float(spearmanr(sums, drops).statistic), abs=1e-12)


def test_one_pixel_and_maps_with_infinity_are_undefined():
    model, images, targets, exact = linear_case(n_images=1, size=(1, 1))
    found = SingleDeletion().scores(model, images, targets, exact[:, None])
    assert np.isnan(found.values.item())
    assert found.reasons[0][0]
    model, images, targets, exact = linear_case(n_images=2, size=(7, 9))
    exact[0, 2, 3] = torch.inf
    found = SingleDeletion().scores(model, images, targets, exact[:, None])
    assert found.values.isnan().flatten().tolist() == [True, False]


@pytest.mark.usefixtures("as_in_production")
def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="at least two cells"):
        SingleDeletion(rows=1, columns=1)
    with pytest.raises(ValueError, match="did you mean logit"):
        SingleDeletion(score="logits")
    with pytest.raises(ValueError, match="did you mean zero"):
        SingleDeletion(baseline="zeros")
    with pytest.raises(ValueError, match="NoisyLinear fills pixels from those that are left"):
        SingleDeletion(baseline="noisy_linear")
