import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.masking import (
    AverageDrop,
    IncreaseInConfidence,
    average_drop,
    increase_in_confidence,
    masked_scores,
)
from xaibench.metrics.masks import Mask, unit_range
from xaibench.metrics.undefined import MODEL_NOT_FINITE, NO_POSITIVE_EVIDENCE, NOT_FINITE

GOLDEN = Golden("drop_and_adcc")
DEAD = 3  # the image whose rectified map is zero everywhere


def scores_of(maps, targets, score="probability", dtype=torch.float64, **choices):
    images = GOLDEN["images"].to(dtype)
    maps = maps.to(dtype)[:, None]
    return masked_scores(GOLDEN.network(dtype), images, targets, maps, score=score, batch_size=4, **choices)


def compare(actual, expected, tolerance):
    """Equal on all images but the dead one, where ours is undefined and the program has some number."""
    others = torch.arange(len(expected)) != DEAD
    torch.testing.assert_close(actual[others].double(), expected[others].double(), atol=tolerance, rtol=0)
    assert actual[DEAD].isnan()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_average_drop_of_adcc(dtype, tolerance):
    scores = scores_of(GOLDEN["maps"], GOLDEN["predicted"], dtype=dtype)
    drop = average_drop(scores.clean[:, None], scores.masked)[:, 0]
    compare(drop, GOLDEN["adcc/predicted/average_drop"], tolerance)


def test_average_drop_of_adcc_mixes_two_classes():
    """For another class it takes the clean score of the predicted one; with that said, the numbers agree."""
    scores = scores_of(GOLDEN["maps"], GOLDEN["runner_up"])
    clean = scores_of(GOLDEN["maps"], GOLDEN["predicted"]).clean
    compare(average_drop(clean[:, None], scores.masked)[:, 0], GOLDEN["adcc/runner_up/average_drop"], 1e-9)


@pytest.mark.parametrize(("case", "score"), [("softmax", "probability"), ("logit", "logit")])
def test_drop_and_increase_of_shapley_cam(case, score):
    scores = scores_of(GOLDEN["dataset_level/maps"], GOLDEN["predicted"], score)
    drop = average_drop(scores.clean[:, None], scores.masked)[:, 0]
    compare(drop, GOLDEN[f"dataset_level/{case}/average_drop"], 1e-4)
    increase = increase_in_confidence(scores.clean[:, None], scores.masked)[:, 0]
    compare(increase, GOLDEN[f"dataset_level/{case}/increase"], 0)


@pytest.mark.parametrize(
    ("case", "targets", "score"),
    [
        ("probability_predicted", "predicted", "probability"),
        ("probability_runner_up", "runner_up", "probability"),
        ("logit_predicted", "predicted", "logit"),
    ],
)
def test_drop_and_increase_of_torchcam(case, targets, score):
    """Its maps were stretched before they were upsampled. Where a map is zero everywhere, ours is undefined."""
    maps = GOLDEN[f"torchcam/{case}/maps"]
    scores = scores_of(maps, GOLDEN[targets], score, mask=Mask(stretch=False))
    drop = average_drop(scores.clean[:, None], scores.masked)[:, 0]
    increase = increase_in_confidence(scores.clean[:, None], scores.masked)[:, 0]
    alive = maps.flatten(1).amax(dim=1) > 0
    assert int(alive.sum()) >= 4
    torch.testing.assert_close(drop[alive], GOLDEN[f"torchcam/{case}/average_drop"][alive], atol=1e-5, rtol=0)
    torch.testing.assert_close(increase[alive], GOLDEN[f"torchcam/{case}/increase"][alive], atol=0, rtol=0)
    assert torch.equal(drop.isnan(), ~alive)


@pytest.mark.parametrize(("case", "score"), [("softmax", "probability"), ("logit", "logit")])
def test_parts_of_pytorch_grad_cam(case, score):
    """Its drop is not divided by the clean score."""
    scores = scores_of(GOLDEN["maps"], GOLDEN["predicted"], score)
    lost = AverageDrop(relative=False)(scores.clean[:, None], scores.masked)[:, 0]
    compare(lost, GOLDEN[f"pytorch_grad_cam/{case}/drop"], 1e-5)
    increase = increase_in_confidence(scores.clean[:, None], scores.masked)[:, 0]
    compare(increase, GOLDEN[f"pytorch_grad_cam/{case}/increase"], 0)


def test_by_hand():
    clean, masked = torch.tensor([0.8, 0.8, 0.5, 0.0]), torch.tensor([0.2, 0.9, 0.5, 0.1])
    drop = torch.tensor([0.75, 0.0, 0.0, torch.nan])
    torch.testing.assert_close(average_drop(clean, masked), drop, equal_nan=True)
    assert increase_in_confidence(clean, masked).tolist() == [0, 1, 0, 1]
    nan = torch.full_like(clean, torch.nan)
    assert average_drop(clean, nan).isnan().all()
    assert increase_in_confidence(clean, nan).isnan().all()


class Counting(torch.nn.Module):
    n_images = 0

    def forward(self, images):
        self.n_images += len(images)
        logits = torch.stack([images.mean(dim=(1, 2, 3)), -images.amax(dim=(1, 2, 3))], dim=1)
        return logits.masked_fill((images > 50).flatten(1).any(dim=1)[:, None], torch.nan)


def test_undefined_maps_and_outputs_stay_with_their_image():
    model = Counting()
    generator = torch.Generator().manual_seed(0)
    images, maps = torch.rand(4, 3, 5, 6, generator=generator), torch.rand(4, 2, 5, 6, generator=generator)
    targets = torch.zeros(4, dtype=torch.int64)
    maps[0, 0], maps[1, 1], maps[2, 0, 2, 2], images[3, 0, 0, 0] = -1, 0.3, torch.nan, 100
    scores = masked_scores(model, images, targets, maps, batch_size=3)
    assert scores.reasons == (
        (NO_POSITIVE_EVIDENCE, ""), ("", "constant map"), (NOT_FINITE, ""), (MODEL_NOT_FINITE, MODEL_NOT_FINITE),
    )  # fmt: skip
    assert scores.masked.isnan().tolist() == [[True, False], [False, True], [True, False], [True, True]]
    assert model.n_images == 4 + 5 == float(scores.forward_passes.sum())
    expected = (images[0] * unit_range(maps[0, 1])).mean()
    logit = masked_scores(model, images, targets, maps, score="logit").masked[0, 1]
    torch.testing.assert_close(logit, expected)


def test_known_clean_scores_cost_no_pass():
    model = Counting()
    images, maps = torch.rand(2, 3, 5, 6), torch.rand(2, 3, 5, 6)[:, :1]
    targets = torch.zeros(2, dtype=torch.int64)
    first = masked_scores(model, images, targets, maps)
    assert model.n_images == 4 == float(first.forward_passes.sum())
    second = masked_scores(model, images, targets, maps, clean=first.clean)
    assert model.n_images == 6
    assert float(second.forward_passes.sum()) == 2
    torch.testing.assert_close(first.masked, second.masked)


@pytest.mark.parametrize(("case", "score"), [("softmax", "probability"), ("logit", "logit")])
def test_drop_and_increase_of_xplique(case, score):
    """It multiplies with the magnitudes of the map, and ran in float32."""
    golden = Golden("xplique")
    metric = AverageDrop(score=score, sign="absolute")
    images, targets = golden["images"], golden["predicted"].long()
    scores = masked_scores(golden.network(), images, targets, golden["maps"][:, None], mask=metric.mask, score=score)
    clean, masked = scores.clean, scores.masked[:, 0]
    torch.testing.assert_close(metric(clean, masked), golden[f"average_drop_{case}/per_image"], atol=2e-4, rtol=0)
    increase = IncreaseInConfidence(score=score)(clean, masked)
    torch.testing.assert_close(increase, golden[f"average_increase_{case}/per_image"], atol=0, rtol=0)


def test_settings_check_themselves():
    with pytest.raises(ValueError, match="unknown score 'logits'"):
        AverageDrop(score="logits")
    with pytest.raises(ValueError, match="muted_share"):
        AverageDrop(muted_share=1.5)
