import numpy as np
import pytest
import torch
from linear_models import linear_case
from metric_goldens import Golden

from xaibench.metrics.imputation import NoisyLinear
from xaibench.metrics.road_percentile import PERCENTILES, ROADPercentile, percentile_scores, removed_above_percentiles
from xaibench.metrics.undefined import NO_POSITIVE_EVIDENCE, NOT_FINITE

GOLDEN = Golden("road_percentile_variant")
SCORES = {"logit": "logit", "softmax": "probability"}


def cams(kind):
    return torch.from_numpy(GOLDEN.arrays[f"cams_{kind}"])  # float32, as the program had them


def clean_scores(score):
    logits = GOLDEN.network()(GOLDEN["images"]).detach()
    values = logits if score == "logit" else logits.softmax(dim=1)
    return values.gather(1, GOLDEN["classes"][:, None])[:, 0]


@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_golden_masks(kind):
    kept = GOLDEN[f"{kind}/logit/kept_masks"].bool()  # (2, T, B, H, W)
    maps = cams(kind)
    for which, values in enumerate((maps, 1 - maps)):
        removed = removed_above_percentiles(values, PERCENTILES)
        assert torch.equal(~removed.transpose(0, 1), kept[which])
        fractions = GOLDEN[f"{kind}/logit/kept_fraction"][which]
        torch.testing.assert_close(1 - removed.double().mean(dim=(2, 3)).T, fractions)


@pytest.mark.parametrize("case", ["logit", "softmax"])
@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_golden_scores(kind, case):
    """The program states changes of the score. Where nothing is kept (NaN) it has no meaningful number; we have one."""
    found = percentile_scores(
        GOLDEN.network(), GOLDEN["images"], GOLDEN["classes"], cams(kind)[:, None],
        imputer=NoisyLinear(0), score=SCORES[case], stretch=False, batch_size=7,
    )  # fmt: skip
    clean = clean_scores(SCORES[case])
    for name, scores, removed in (("morf", found.morf, found.morf_removed), ("lerf", found.lerf, found.lerf_removed)):
        change, expected = (scores[:, 0] - clean[:, None]).T, GOLDEN[f"{kind}/{case}/{name}"]
        defined = ~expected.isnan()
        torch.testing.assert_close(change[defined], expected[defined], atol=5e-5, rtol=0)
        assert torch.equal(removed[:, 0].T == 1, ~defined)
        assert scores.isfinite().all()


@pytest.mark.parametrize("case", ["logit", "softmax"])
def test_golden_combined(case):
    metric = ROADPercentile(score=SCORES[case], noise=0.0, stretch=False)
    scores = metric.scores(GOLDEN.network(), GOLDEN["images"], GOLDEN["classes"], cams("distinct")[:, None])
    torch.testing.assert_close(scores.values[:, 0], GOLDEN[f"distinct/{case}/combined"], atol=5e-5, rtol=0)
    assert float(scores.forward_passes.sum()) == 4 * 18


def test_ties_decide_how_much_is_removed():
    """86 % of this map are zero. Asked for 90, 50, 20 and 10 %, the percentile removes 100, 100, 100 and 10 %."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.zeros(1, 20, 50)
    maps.view(-1)[:140] = torch.rand(140, generator=generator) + 0.1
    removed = removed_above_percentiles(maps, (10, 50, 80, 90)).double().mean(dim=(2, 3))[0]
    assert removed.tolist() == [1, 1, 1, 0.1]
    least = removed_above_percentiles(1 - maps / 2, (10, 50, 80, 90)).double().mean(dim=(2, 3))[0]
    assert least.tolist() == [0.9, 0.86, 0.86, 0.86]


def test_asked_and_removed_shares():
    """20 % asked for, everything removed: on a map of 86 % zeros. On one without ties no more than a pixel is amiss."""
    model, images, targets, _ = linear_case(n_images=2, size=(10, 10))
    maps = torch.zeros(2, 1, 10, 10, dtype=images.dtype)
    maps[0, 0].view(-1)[:14] = torch.arange(1, 15, dtype=images.dtype)
    maps[1, 0] = torch.arange(100, dtype=images.dtype).view(10, 10)
    scores = ROADPercentile((10, 80, 90), noise=0.0).scores(model, images, targets, maps)
    morf, lerf = scores.removals
    assert (morf.name, lerf.name) == ("morf", "lerf")
    assert morf.asked.tolist() == lerf.asked.tolist() == pytest.approx([0.9, 0.2, 0.1])
    assert morf.removed[:, 0].tolist() == [[1, 1, 0.1], pytest.approx([0.9, 0.2, 0.1])]
    assert lerf.removed[0, 0].tolist() == pytest.approx([0.9, 0.86, 0.86])
    assert morf.errors[:, 0].tolist() == pytest.approx([0.8, 0])
    assert lerf.errors[:, 0].tolist() == pytest.approx([0.76, 0])


def test_thresholds_are_numpys_percentiles():
    maps = torch.rand(3, 9, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    percentiles = (0, 3.3, 50, 99.9, 100)
    expected = np.percentile(maps.flatten(1).numpy(), percentiles, axis=1)
    removed = removed_above_percentiles(maps, percentiles).numpy()
    for t in range(len(percentiles)):
        assert (removed[:, t] == (maps.numpy() >= expected[t][:, None, None])).all()


@pytest.mark.filterwarnings("ignore")
def test_pytorch_grad_cam():
    """Its own classes on identical inputs, with the noise off."""
    from pytorch_grad_cam.metrics.perturbation_confidence import PerturbationConfidenceMetric, RemoveMostRelevantFirst
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    images, classes, maps = GOLDEN["images"][:2].float(), GOLDEN["classes"][:2], cams("distinct")[:2]
    network = GOLDEN.network(torch.float32)
    metric = PerturbationConfidenceMetric(RemoveMostRelevantFirst(70, NoisyLinearImputer(noise=0)))
    theirs = metric(images, maps.numpy(), [ClassifierOutputTarget(c) for c in classes.tolist()], network)
    found = percentile_scores(
        network, images, classes, maps[:, None], percentiles=(70,), imputer=NoisyLinear(0), stretch=False
    )
    ours = found.morf[:, 0, 0] - clean_scores("logit")[:2]
    torch.testing.assert_close(ours, torch.from_numpy(np.asarray(theirs)).double(), atol=5e-5, rtol=0)


def test_stretching_rectifies_and_undefined_maps_stay_alone():
    images, classes = GOLDEN["images"].float(), GOLDEN["classes"]
    maps = torch.randn(4, 2, 18, 25, generator=torch.Generator().manual_seed(0))
    network, metric = GOLDEN.network(torch.float32), ROADPercentile(percentiles=(70, 90))
    expected = metric.scores(network, images, classes, maps)
    scaled = metric.scores(network, images, classes, 8 * maps.clamp(min=0), batch_size=3)
    torch.testing.assert_close(scaled.values, expected.values, atol=1e-5, rtol=0)
    maps[1, 0], maps[2, 1, 3, 3] = -1, torch.inf
    scores = metric.scores(network, images, classes, maps)
    assert scores.reasons == (("", ""), (NO_POSITIVE_EVIDENCE, ""), ("", NOT_FINITE), ("", ""))
    undefined = torch.tensor([[reason != "" for reason in row] for row in scores.reasons])
    assert torch.equal(scores.values.isnan(), undefined)
    torch.testing.assert_close(scores.values[~undefined], expected.values[~undefined], atol=1e-6, rtol=0)
    assert float(scores.forward_passes.sum()) == 6 * 4
    with pytest.raises(ValueError, match="percentiles must lie"):
        ROADPercentile(percentiles=())
