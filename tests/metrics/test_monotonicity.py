import numpy as np
import pytest
import torch
from linear_models import LinearModel, linear_case

from xaibench.metrics.map_scores import ModelMetric
from xaibench.metrics.monotonicity import Monotonicity
from xaibench.names import UnknownName


def rising_case():
    """All contributions positive: whatever is put in, the score rises."""
    model, images, targets, _ = linear_case()
    model, images = LinearModel(model.weights.abs()), images.abs()
    return model, images, targets, (model.weights[targets] * images).sum(dim=1)


def test_a_model_of_positive_parts_is_monotone_and_its_negative_never():
    model, images, targets, exact = rising_case()
    for reading in ("all", "share"):
        metric = Monotonicity(10, reading, score="logit")
        assert metric.scores(model, images, targets, exact[:, None]).values.tolist() == [[1.0]] * 3
        falling = metric.scores(LinearModel(-model.weights), images, targets, exact[:, None])
        assert falling.values.tolist() == [[0.0]] * 3


def test_matches_a_loop_and_the_share_is_that_of_the_steps():
    model, images, targets, exact = linear_case(2)
    maps = torch.stack([exact.abs(), images[:, 0]], dim=1)
    share = Monotonicity(10, "share", score="logit").scores(model, images, targets, maps)
    strict = Monotonicity(10, "all", score="logit").scores(model, images, targets, maps)
    for b in range(2):
        for m in range(2):
            order = np.argsort(maps[b, m].flatten().numpy(), kind="stable")
            picture, scores = torch.zeros(3, 72, dtype=torch.float64), []
            for start in range(0, 72, 10):
                picture[:, order[start : start + 10]] = images[b].flatten(1)[:, order[start : start + 10]]
                scores.append(float(model(picture.view(1, 3, 8, 9))[0, targets[b]]))
            rises = np.diff(scores) >= 0
            assert share.values[b, m].item() == pytest.approx(rises.mean())
            assert strict.values[b, m].item() == float(rises.all())
            assert share.curve_y[b, m].tolist() == pytest.approx(scores)
            assert share.curve_x[b, m].tolist() == pytest.approx([min(10 * k, 72) / 72 for k in range(1, 9)])


def _reference_quantus(model, images, targets, maps):
    import quantus

    metric = quantus.Monotonicity(
        features_in_step=9, abs=False, normalise=False, perturb_baseline=0.0, disable_warnings=True
    )
    return metric(
        model=model,
        x_batch=images.numpy(),
        y_batch=targets.numpy(),
        a_batch=maps.numpy()[:, None],
        device="cpu",
        softmax=False,
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_quantus_puts_the_baseline_into_the_baseline_so_that_everything_is_monotone():
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(2, 1, 6, 9, generator=generator)
    images = torch.randn(12, 1, 6, 9, generator=generator)
    targets = torch.zeros(12, dtype=torch.int64)
    model = LinearModel(weights).eval()
    exact = weights[targets, 0] * images[:, 0]
    maps = torch.where(torch.arange(12)[:, None, None] % 2 == 0, exact, images[:, 0])
    maps = torch.where(torch.arange(12)[:, None, None] % 3 == 0, exact.exp(), maps)
    images = torch.where(torch.arange(12)[:, None, None, None] % 4 == 0, weights[0].sign() * images.abs(), images)
    found = Monotonicity(9, score="logit").scores(model, images, targets, maps[:, None]).values[:, 0]
    assert 0 < found.sum() < 12
    # quantus 0.6 never puts a pixel of the image in: its scores are equal, and none falls
    assert all(_reference_quantus(model, images, targets, maps))


def test_constant_and_broken_maps_are_undefined_and_cost_nothing():
    model, images, targets, exact = linear_case()
    broken = exact.clone()
    broken[:, 0, 0] = torch.inf
    maps = torch.stack([torch.ones_like(exact), broken, exact], dim=1)
    found = Monotonicity(10).scores(model, images, targets, maps)
    assert found.values.isnan().tolist() == [[True, True, False]] * 3
    assert found.reasons == (("constant map", "map holds NaN or infinity", ""),) * 3
    assert model.n_seen == found.forward_passes.sum() == 24


def test_settings_are_checked():
    model, images, targets, exact = linear_case()
    assert isinstance(Monotonicity(), ModelMetric)
    with pytest.raises(UnknownName, match="share"):
        Monotonicity(reading="shares")
    with pytest.raises(ValueError, match="two steps or more"):
        Monotonicity(72).scores(model, images, targets, exact[:, None])
