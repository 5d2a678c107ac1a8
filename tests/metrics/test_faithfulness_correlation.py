import numpy as np
import pytest
import torch
from linear_models import FlatPicture, LinearModel, linear_case
from metric_goldens import Golden
from scipy.stats import pearsonr

from xaibench.metrics.changes import check_given
from xaibench.metrics.faithfulness_correlation import FaithfulnessCorrelation, faithfulness_correlation
from xaibench.metrics.map_scores import ModelMetric
from xaibench.names import UnknownName

GOLDEN = Golden("faithfulness")


@pytest.mark.parametrize(("case", "baseline"), [("zero", "zero"), ("black", "minimum")])
def test_agrees_with_quantus_on_its_subsets(case, baseline):
    key = f"faithfulness_correlation/{case}"
    images, maps = (GOLDEN[name].flatten(1, 2)[:, None] for name in ("images", "attributions"))
    drawn = GOLDEN[f"{key}/subsets"].long()
    subsets = torch.zeros(3, 40, images[0].numel(), dtype=torch.bool).scatter_(2, drawn, True)
    found = faithfulness_correlation(
        FlatPicture(GOLDEN.network()),
        images,
        GOLDEN["predicted"],
        maps,
        baseline=baseline,
        subsets=subsets.view(3, 40, *images.shape[1:]),
    )
    torch.testing.assert_close(found.values[:, 0], GOLDEN[f"{key}/correlation"], atol=1e-8, rtol=0)


@pytest.mark.parametrize("features", ["pixels", "channel_values"])
def test_matches_a_loop_over_the_drawn_subsets(features):
    _, images, targets, _ = linear_case(2)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(216, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4))
    network = network.double()
    maps = torch.randn(2, 3, 8, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    metric = FaithfulnessCorrelation(n_subsets=40, subset_size=11, features=features)
    found = metric.scores(network, images, targets, maps, batch_size=7)
    for b in range(2):
        masks = torch.cat(list(metric.draw(images[b])))
        assert masks.flatten(1).sum(dim=1).tolist() == [11] * 40
        assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 40
        with torch.no_grad():
            p = network(images[b][None]).softmax(1)[0, targets[b]]
            drops = [p - network((images[b] * ~mask)[None]).softmax(1)[0, targets[b]] for mask in masks]
        for m in range(3):
            sums = [(maps[b, m] * mask).sum() for mask in masks]
            assert found.values[b, m].item() == pytest.approx(pearsonr(sums, drops).statistic, abs=1e-10)


def test_exact_attribution_of_a_linear_model_is_1_and_its_negative_minus_1():
    model, images, targets, exact = linear_case()
    found = FaithfulnessCorrelation(20, 5, score="logit").scores(
        model, images, targets, torch.stack([exact, -exact, 3 * exact], dim=1)
    )
    torch.testing.assert_close(found.values, torch.tensor([[1.0, -1.0, 1.0]] * 3, dtype=torch.float64))
    assert found.reasons == (("", "", ""),) * 3


def test_perturbed_images_are_scored_once_for_all_maps_and_counted_exactly():
    model, images, targets, exact = linear_case()
    maps = torch.stack([exact, exact.abs(), torch.ones_like(exact)], dim=1)
    found = FaithfulnessCorrelation(20, 5).scores(model, images, targets, maps, batch_size=8)
    assert model.n_seen == 3 * 21
    assert found.forward_passes.tolist() == [[10.5, 10.5, 0.0]] * 3


def test_undefined_is_nan_with_its_reason():
    model, images, targets, exact = linear_case()
    broken = exact.clone()
    broken[:, 0, 0] = torch.nan
    found = FaithfulnessCorrelation(20, 5).scores(
        model, images, targets, torch.stack([torch.full_like(exact, 0.1), broken, exact], dim=1)
    )
    assert found.values.isnan().tolist() == [[True, True, False]] * 3
    assert found.reasons == (("constant map", "map holds NaN or infinity", ""),) * 3

    indifferent = LinearModel(torch.zeros(4, 3, 8, 9, dtype=torch.float64))
    found = FaithfulnessCorrelation(20, 5).scores(indifferent, images, targets, exact[:, None])
    assert found.reasons == (("the score is the same after every change",),) * 3

    images[1] = torch.inf
    found = FaithfulnessCorrelation(20, 5).scores(model, images, targets, exact[:, None].nan_to_num(0))
    assert [row[0] for row in found.reasons] == ["", "model output holds NaN or infinity", ""]

    found = FaithfulnessCorrelation(20, 5).scores(model, images, targets, broken[:, None])
    assert found.reasons == (("map holds NaN or infinity",),) * 3
    assert found.forward_passes.sum() == 0


def test_neighbours_batch_size_and_order_change_nothing():
    model, images, targets, exact = linear_case(4)
    maps = torch.stack([exact.abs(), exact**2 + images[:, 0]], dim=1).float()
    images, model = images.float(), LinearModel(model.weights.float())
    metric = FaithfulnessCorrelation(40, 9)
    together = metric.scores(model, images, targets, maps).values
    flipped = metric.scores(model, images.flip(0), targets.flip(0), maps.flip(0), batch_size=3).values.flip(0)
    alone = torch.cat(
        [metric.scores(model, images[b : b + 1], targets[b : b + 1], maps[b : b + 1]).values for b in range(4)]
    )
    torch.testing.assert_close(flipped, together, atol=1e-6, rtol=0)
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)
    other = FaithfulnessCorrelation(40, 9, seed=1).scores(model, images, targets, maps).values
    assert (other - together).abs().min() > 1e-3


def test_settings_are_checked():
    model, images, targets, exact = linear_case()
    assert isinstance(FaithfulnessCorrelation(), ModelMetric)
    with pytest.raises(ValueError, match="choose at most 71"):
        FaithfulnessCorrelation(20, 72).scores(model, images, targets, exact[:, None])
    with pytest.raises(ValueError, match="at least two subsets"):
        FaithfulnessCorrelation(n_subsets=1)
    with pytest.raises(UnknownName, match="pixels"):
        FaithfulnessCorrelation(features="pixel")
    with pytest.raises(UnknownName, match="probability"):
        FaithfulnessCorrelation(score="probabilty")
    with pytest.raises(ValueError, match="take a baseline that is a picture"):
        FaithfulnessCorrelation(baseline="noisy_linear")
    with pytest.raises(ValueError, match=r"expected \(3, N, …, 8, 9\)"):
        check_given(torch.zeros(2, 5, 1, 8, 9), images, "subsets")


def test_subsets_are_uniform():
    metric = FaithfulnessCorrelation(n_subsets=4000, subset_size=3)
    image = torch.zeros(1, 2, 5)
    share = torch.cat(list(metric.draw(image))).double().mean(dim=0)[0]
    assert np.allclose(share, 0.3, atol=4.5 * (0.3 * 0.7 / 4000) ** 0.5)
