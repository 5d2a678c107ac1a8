import numpy as np
import pytest
import torch
from linear_models import FlatPicture, LinearModel, linear_case
from metric_goldens import Golden

from xaibench.metrics.faithfulness_estimate import FaithfulnessEstimate
from xaibench.metrics.map_scores import ModelMetric

GOLDEN = Golden("faithfulness")


def test_agrees_with_quantus():
    images, maps = (GOLDEN[name].flatten(1, 2)[:, None] for name in ("images", "attributions"))
    found = FaithfulnessEstimate(step_px=56).scores(FlatPicture(GOLDEN.network()), images, GOLDEN["predicted"], maps)
    torch.testing.assert_close(found.values[:, 0], GOLDEN["faithfulness_estimate/correlation"], atol=1e-8, rtol=0)
    assert found.forward_passes.tolist() == [[31.0]] * 3


def test_matches_a_loop_with_a_partial_last_group():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(216, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4))
    network = network.double()
    _, images, targets, exact = linear_case(2)
    maps = torch.stack([exact, exact.abs()], dim=1)
    found = FaithfulnessEstimate(step_px=11, score="logit", baseline="mean").scores(
        network, images, targets, maps, batch_size=5
    )
    for b in range(2):
        for m in range(2):
            order = np.argsort(-maps[b, m].flatten().numpy(), kind="stable")
            sums, drops = [], []
            for start in range(0, 72, 11):
                changed = images[b].clone().flatten(1)
                changed[:, order[start : start + 11]] = images[b].mean(dim=(1, 2))[:, None]
                with torch.no_grad():
                    both = network(torch.stack([images[b], changed.view(3, 8, 9)]))[:, targets[b]]
                sums.append(maps[b, m].flatten()[order[start : start + 11]].sum())
                drops.append(both[0] - both[1])
            assert found.values[b, m].item() == pytest.approx(np.corrcoef(sums, drops)[0, 1], abs=1e-10)


def test_exact_attribution_of_a_linear_model_is_1_and_its_negative_minus_1():
    model, images, targets, exact = linear_case()
    maps = torch.stack([exact, -exact, torch.ones_like(exact)], dim=1)
    found = FaithfulnessEstimate(step_px=10, score="logit").scores(model, images, targets, maps)
    assert found.values[:, 0].tolist() == pytest.approx([1.0] * 3)
    assert found.values[:, 1].tolist() == pytest.approx([-1.0] * 3)
    assert found.values[:, 2].isnan().all()
    assert found.reasons == (("", "", "constant map"),) * 3
    assert model.n_seen == found.forward_passes.sum() == 3 * (2 * 8 + 1)
    assert found.forward_passes[0].tolist() == [8.5, 8.5, 0.0]


def test_an_indifferent_model_and_one_without_an_answer_are_undefined():
    model, images, targets, exact = linear_case()
    found = FaithfulnessEstimate(10).scores(LinearModel(model.weights * 0), images, targets, exact[:, None])
    assert found.reasons == (("the score is the same after every change",),) * 3
    images[2, 0, 0, 0] = torch.nan
    found = FaithfulnessEstimate(10).scores(model, images, targets, exact[:, None].nan_to_num())
    assert [row[0] for row in found.reasons] == ["", "", "model output holds NaN or infinity"]
    assert found.values.isnan().flatten().tolist() == [False, False, True]


def test_neighbours_and_batch_size_change_nothing():
    model, images, targets, exact = linear_case(3)
    metric = FaithfulnessEstimate(step_px=7)
    together = metric.scores(model, images, targets, exact[:, None]).values
    alone = torch.cat(
        [
            metric.scores(model, images[b : b + 1], targets[b : b + 1], exact[b : b + 1, None], batch_size=4).values
            for b in range(3)
        ]
    )
    torch.testing.assert_close(alone, together, atol=1e-9, rtol=0)
    assert isinstance(metric, ModelMetric)
    with pytest.raises(ValueError, match="step_px"):
        FaithfulnessEstimate(step_px=0)
