import pytest
import torch
from linear_models import linear_case
from metric_goldens import Golden

from xaibench.metrics.map_scores import ModelMetric
from xaibench.metrics.sensitivity_n import SensitivityN, sensitivity_n

GOLDEN = Golden("faithfulness")


@pytest.mark.parametrize(("reading", "score"), [("linear", "logit"), ("softmax", "probability")])
def test_agrees_with_attribench_on_its_subsets(reading, score):
    sizes = (5, 28, 112)
    given = []
    for n in sizes:
        drawn = GOLDEN[f"sensitivity_n/subsets_n{n}"].long()
        masks = torch.zeros(25, 560, dtype=torch.bool).scatter_(1, drawn, True)
        given.append(masks.view(25, 20, 28).expand(3, -1, -1, -1))
    found = sensitivity_n(
        GOLDEN.network(),
        GOLDEN["images"],
        GOLDEN["predicted"],
        GOLDEN["attribution_maps"][:, None],
        sizes_px=sizes,
        n_subsets=25,
        subsets=given,
        score=score,
    )
    expected = GOLDEN[f"sensitivity_n/{reading}"]
    torch.testing.assert_close(found.curve_y[:, 0], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.values[:, 0], expected.mean(dim=1), atol=1e-5, rtol=0)
    assert found.curve_x[2, 0].tolist() == [n / 560 for n in sizes]


def test_exact_attribution_of_a_linear_model_is_1_for_every_n():
    model, images, targets, exact = linear_case()
    found = SensitivityN(n_subsets=20).scores(model, images, targets, torch.stack([exact, -exact], dim=1))
    sign = torch.tensor([1.0, -1.0], dtype=torch.float64)[None, :, None]
    torch.testing.assert_close(found.curve_y, sign.expand(3, 2, 8))
    torch.testing.assert_close(found.values, sign[..., 0].expand(3, 2))
    assert model.n_seen == 3 * (8 * 20 + 1)
    assert found.forward_passes.sum() == model.n_seen


def test_sizes_go_in_geometric_steps_up_to_the_share():
    assert SensitivityN().sizes((224, 224)) == (1, 5, 21, 94, 427, 1942, 8829, 40140)
    assert SensitivityN(n_sizes=5).sizes((2, 2)) == (1, 2, 3)
    assert SensitivityN(sizes_px=(7, 3)).sizes((4, 4)) == (7, 3)
    metric = SensitivityN(sizes_px=(7, 3), n_subsets=33)
    masks = torch.cat(list(metric.draw(torch.zeros(3, 4, 4))))
    assert masks.flatten(1).sum(dim=1).tolist() == [7] * 33 + [3] * 33
    with pytest.raises(ValueError, match="below the image's 16 pixels"):
        SensitivityN(sizes_px=(16,)).sizes((4, 4))


def test_a_value_is_undefined_where_one_of_its_correlations_is():
    model, images, targets, exact = linear_case()
    last_row = torch.zeros_like(exact)
    last_row[:, 0, 0] = 1
    subsets = [torch.zeros(3, 2, 8, 9, dtype=torch.bool) for _ in range(2)]
    subsets[0][:, 0, 0, 0] = subsets[0][:, 1, 5, 5] = True
    subsets[1][:, 0, 7, 1] = subsets[1][:, 1, 5, 5] = True  # no relevance in either
    found = sensitivity_n(model, images, targets, last_row[:, None], sizes_px=(1, 1), subsets=subsets, score="logit")
    assert found.curve_y[:, 0, 0].abs().tolist() == pytest.approx([1.0] * 3)
    assert found.values.isnan().all()
    assert found.reasons == (("every change concerns the same relevance (n = 1)",),) * 3


def test_neighbours_and_batch_size_change_nothing():
    model, images, targets, exact = linear_case(4)
    maps = exact.abs()[:, None]
    metric = SensitivityN(n_subsets=20, score="probability")
    together = metric.scores(model, images, targets, maps).curve_y
    alone = torch.cat(
        [
            metric.scores(model, images[b : b + 1], targets[b : b + 1], maps[b : b + 1], batch_size=7).curve_y
            for b in range(4)
        ]
    )
    torch.testing.assert_close(alone, together, atol=1e-9, rtol=0)
    assert isinstance(metric, ModelMetric)
