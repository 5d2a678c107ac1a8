import pytest
import torch
from metric_goldens import Golden

from xaibench.explainers.cams import GradCAM
from xaibench.metrics.arcc import ARCC, arcc_of_terms
from xaibench.metrics.complexity_adcc import mean_of_unit_map
from xaibench.metrics.undefined import NO_POSITIVE_EVIDENCE

GOLDEN = Golden("drop_and_adcc")
DEAD = 3
OTHERS = torch.tensor([0, 1, 2, 4, 5])


def test_golden():
    """The explainer differentiates the probability, as the program's targets do."""
    cam = GradCAM(layers=("relu3",), score="probability", rectify=True)
    network, images, targets = GOLDEN.network(), GOLDEN["images"], GOLDEN["predicted"]
    maps = {"relu3": GOLDEN["arcc/softmax/maps"]}
    scores = ARCC(noise=0.0).explainer_scores(network, images, targets, cam, maps, batch_size=5)["relu3"]
    torch.testing.assert_close(scores.values[OTHERS, 0], GOLDEN["arcc/softmax/arcc"][OTHERS], atol=2e-4, rtol=0)
    assert float(GOLDEN["arcc/softmax/arcc"].max()) > 0.01
    assert scores.reasons[DEAD] == (NO_POSITIVE_EVIDENCE,)
    assert float(GOLDEN["arcc/softmax/coherency"][DEAD]) == 0.5
    assert float(scores.forward_passes.sum()) == 5 * (2 * 4 + 1)


def test_golden_terms():
    road, coherencies, complexities = (
        GOLDEN[f"arcc/softmax/{term}"] for term in ("road_combined", "coherency", "complexity")
    )
    torch.testing.assert_close(
        arcc_of_terms(road, coherencies, complexities), GOLDEN["arcc/softmax/arcc"], atol=1e-6, rtol=0
    )
    torch.testing.assert_close(
        mean_of_unit_map(GOLDEN["arcc/softmax/maps"])[OTHERS], complexities[OTHERS], atol=1e-6, rtol=0
    )


def test_by_hand():
    road = torch.tensor([0.25, 0.5, 0.7, -0.1, 0.0])
    expected = 3 / (1 / 0.5 + 1 / 0.5 + 1 / torch.tensor([0.5, 1.0, 1.0, 0.0, 0.0]))
    half = torch.full((5,), 0.5)
    torch.testing.assert_close(arcc_of_terms(road, half, half), expected)
    with pytest.raises(ValueError, match="percentiles"):
        ARCC(percentiles=(120,))
