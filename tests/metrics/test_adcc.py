import pytest
import torch
from metric_goldens import Golden

from xaibench.explainers.cams import GradCAM
from xaibench.metrics.adcc import ADCC, NO_CLEAN_SCORE, adcc_of_terms
from xaibench.metrics.complexity_adcc import ComplexityADCC, mean_of_unit_map
from xaibench.metrics.undefined import NO_POSITIVE_EVIDENCE
from xaibench.statistics.adcc_means import adcc_of_means

GOLDEN = Golden("drop_and_adcc")
DEAD = 3
OTHERS = [0, 1, 2, 4, 5]


def scores_of(explainer, dtype=torch.float64, maps=None, **choices):
    network, images, targets = GOLDEN.network(dtype), GOLDEN["images"].to(dtype), GOLDEN["predicted"]
    maps = maps or explainer(network, images, targets)
    return ADCC(**choices).explainer_scores(network, images, targets, explainer, maps, batch_size=4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_golden(dtype, tolerance):
    """In float64 with the stored maps, which the program rounded to float32; in float32 with our own."""
    maps = {"relu3": GOLDEN["maps"]} if dtype == torch.float64 else None
    scores = scores_of(GradCAM(layers=("relu3",), rectify=True), dtype, maps)["relu3"]
    expected = GOLDEN["adcc/predicted/adcc"]
    torch.testing.assert_close(scores.values[:, 0], expected, atol=tolerance, rtol=0, equal_nan=True)
    assert scores.reasons[DEAD] == (NO_POSITIVE_EVIDENCE,)
    # per image one clean pass, and for a map that is defined one masked and one of the explainer
    assert float(scores.forward_passes.sum()) == 6 + 5 + 5


@pytest.mark.parametrize("case", ["predicted", "runner_up"])
def test_golden_terms(case):
    terms = [GOLDEN[f"adcc/{case}/{term}"] for term in ("average_drop", "coherency", "complexity")]
    torch.testing.assert_close(adcc_of_terms(*terms), GOLDEN[f"adcc/{case}/adcc"], atol=1e-9, rtol=0, equal_nan=True)
    complexity = mean_of_unit_map(GOLDEN["maps"])
    torch.testing.assert_close(complexity[OTHERS], terms[2][OTHERS], atol=1e-9, rtol=0)
    assert complexity[DEAD].isnan()
    assert terms[2][DEAD] == 0


@pytest.mark.parametrize("case", ["softmax", "logit"])
def test_golden_of_a_data_set(case):
    """Image 3 is counted as 0 there; put in as they are, the terms give its numbers. We leave the image out."""
    stored = {
        name: GOLDEN[f"dataset_level/{case}/{name}"] for name in ("average_drop", "coherency", "complexity", "adcc")
    }
    terms = [stored["average_drop"], stored["coherency"], stored["complexity"]]
    per_image = adcc_of_terms(*terms)
    torch.testing.assert_close(per_image, stored["adcc"], atol=1e-4, rtol=0)
    of_means, mean_of = (
        float(GOLDEN[f"dataset_level/{case}/{name}"]) for name in ("adcc_from_averages", "adcc_mean_of_images")
    )
    assert adcc_of_means(*[term.numpy() for term in terms]) == pytest.approx(of_means, abs=1e-4)
    assert float(per_image.mean()) == pytest.approx(mean_of, abs=1e-4)
    assert abs(of_means - mean_of) > 0.01
    ours = [term.clone().index_fill(0, torch.tensor([DEAD]), torch.nan) for term in terms]
    expected = adcc_of_terms(*[term[OTHERS].mean() for term in terms])
    assert adcc_of_means(*[term.numpy() for term in ours]) == pytest.approx(float(expected), abs=1e-12)


def test_layers_share_the_clean_image():
    both = scores_of(GradCAM(layers=("relu2", "relu3"), rectify=True))
    alone = scores_of(GradCAM(layers=("relu3",), rectify=True))["relu3"]
    torch.testing.assert_close(both["relu3"].values, alone.values, atol=1e-9, rtol=0, equal_nan=True)
    masked = sum(sum(reason[0] != NO_POSITIVE_EVIDENCE for reason in scores.reasons) for scores in both.values())
    assert sum(float(scores.forward_passes.sum()) for scores in both.values()) == 6 + 2 * masked


def test_by_hand():
    drops, coherencies = torch.tensor([0.5, 1.0, 0.0, torch.nan]), torch.tensor([0.5, 0.9, 0.0, 0.5])
    complexities = torch.tensor([0.5, 0.1, 0.2, 0.5])
    expected = torch.tensor([0.5, 0.0, 0.0, torch.nan])
    torch.testing.assert_close(adcc_of_terms(drops, coherencies, complexities), expected, equal_nan=True)
    with pytest.raises(ValueError, match="unknown score"):
        ADCC(score="softmax")


def test_a_clean_score_of_zero_is_undefined():
    class Silent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 2, 3, padding=1)

        def forward(self, images):
            return self.conv(images).mean(dim=(2, 3)) * torch.tensor([0.0, 1.0])

    images = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    maps = {"conv": torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(1))}
    cam = GradCAM(layers=("conv",))
    scores = ADCC(score="logit").explainer_scores(Silent(), images, torch.tensor([0]), cam, maps)["conv"]
    assert scores.values.isnan().all()
    assert scores.reasons[0][0] != ""
    again = ADCC(score="logit").explainer_scores(Silent(), images, torch.tensor([1]), cam, maps)["conv"]
    assert NO_CLEAN_SCORE not in again.reasons[0]


def test_complexity():
    maps = torch.tensor([[[[-1.0, 0.0], [1.0, 2.0]], [[3.0, 3.0], [3.0, 3.0]], [[-1.0, -1.0], [-2.0, 0.0]]]])
    scores = ComplexityADCC().map_scores(maps)
    torch.testing.assert_close(scores.values[0, 0], torch.tensor(1.5 / 4, dtype=torch.float64))
    assert scores.reasons == (("", "constant map", NO_POSITIVE_EVIDENCE),)
    assert scores.values[0, 1:].isnan().all()
