from collections import OrderedDict

import captum.metrics
import pytest
import torch
from linear_models import FlatPicture, LinearModel, linear_case
from metric_goldens import Golden

from xaibench.metrics.differences import NOISE, squares
from xaibench.metrics.infidelity import Infidelity, infidelity
from xaibench.metrics.map_scores import ModelMetric
from xaibench.names import UnknownName

GOLDEN = Golden("robustness")


@pytest.mark.parametrize(("score", "reading"), [("logit", "logit"), ("probability", "probability")])
@pytest.mark.parametrize(("normalized", "kind"), [(False, "plain"), (True, "normalised")])
def test_agrees_with_captums_stored_values(score, reading, normalized, kind):
    images, maps = (GOLDEN[name].flatten(1, 2)[:, None] for name in ("images", "attributions"))
    found = infidelity(
        FlatPicture(GOLDEN.network()),
        images,
        GOLDEN["predicted"],
        maps,
        perturbations=GOLDEN["infidelity/perturbations"].flatten(2, 3)[:, :, None],
        reading="slopes",
        normalized=normalized,
        score=score,
    )
    torch.testing.assert_close(found.values[:, 0], GOLDEN[f"infidelity/{reading}_{kind}"], rtol=1e-8, atol=0)


def test_agrees_with_the_authors_on_every_square():
    layers = [(name, getattr(torch.nn, kind)(**arguments)) for name, kind, arguments in GOLDEN.meta["net1_layers"]]
    network = torch.nn.Sequential(OrderedDict(layers)).double()
    prefix = "square_infidelity/net1."
    network.load_state_dict({k[len(prefix) :]: GOLDEN[k] for k in GOLDEN.arrays if k.startswith(prefix)})
    image = GOLDEN["square_infidelity/image"]
    masks = []
    for side in range(1, 11):
        for top in range(29 - side):
            for left in range(29 - side):
                mask = torch.zeros(28, 28, dtype=torch.bool)
                mask[top : top + side, left : left + side] = True
                masks.append(mask)
    assert len(masks) == 5605
    found = infidelity(
        network,
        image,
        torch.tensor([4]),
        GOLDEN["square_infidelity/explanation"],
        removed=torch.stack(masks)[None],
        batch_size=256,
    )
    assert found.values.item() == pytest.approx(GOLDEN["square_infidelity/infidelity"].item(), rel=1e-5)


@pytest.mark.parametrize("normalized", [False, True])
def test_agrees_with_captum_on_the_same_perturbations(normalized):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(216, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4))
    network = network.double().eval()
    _, images, targets, exact = linear_case(2)
    drawn = torch.randn(2, 9, 3, 8, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    options = {"reading": "slopes", "normalized": normalized, "perturbations": drawn, "batch_size": 4}
    found = infidelity(network, images, targets, exact[:, None], **options)

    def perturb(inputs):  # captum repeats each image for all its perturbations
        moved = drawn.flatten(0, 1)
        return moved, inputs - moved

    expected = captum.metrics.infidelity(
        network,
        perturb,
        images,
        exact[:, None].expand_as(images).contiguous(),
        target=targets,
        n_perturb_samples=9,
        normalize=normalized,
    )
    torch.testing.assert_close(found.values[:, 0], expected, rtol=1e-8, atol=0)


@pytest.mark.parametrize("perturbation", ["square", *NOISE])
def test_a_linear_model_of_one_weight_a_pixel_and_its_gradient_have_infidelity_0(perturbation):
    _, images, targets, _ = linear_case()
    weights = torch.randn(4, 1, 8, 9, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    model = LinearModel(weights.expand(-1, 3, -1, -1))
    gradient = weights[targets, 0]
    maps = torch.stack([gradient, 5 * gradient, -gradient], dim=1)
    scaled = Infidelity(perturbation, "slopes", n_samples=20).scores(model, images, targets, maps)
    assert scaled.values.numpy() == pytest.approx(0, abs=1e-20)
    assert scaled.forward_passes.tolist() == [[7.0] * 3] * 3
    assert model.n_seen == 63
    plain = Infidelity(perturbation, "slopes", n_samples=20, normalized=False).scores(model, images, targets, maps)
    assert plain.values[:, 0].numpy() == pytest.approx(0, abs=1e-20)
    torch.testing.assert_close(plain.values[:, 1] / plain.values[:, 2], torch.full((3,), 4.0, dtype=torch.float64))
    assert plain.values[:, 1].min() > 1e-3


def test_a_linear_model_and_its_exact_attribution_have_infidelity_0():
    model, images, targets, exact = linear_case()
    maps = torch.stack([exact, 5 * exact, exact.abs()], dim=1)
    scaled = Infidelity(n_samples=40).scores(model, images, targets, maps)
    assert scaled.values[:, :2].numpy() == pytest.approx(0, abs=1e-20)
    assert scaled.values[:, 2].min() > 1e-2
    plain = Infidelity(n_samples=40, normalized=False).scores(model, images, targets, maps)
    assert plain.values[:, 0].numpy() == pytest.approx(0, abs=1e-20)
    assert plain.values[:, 1].min() > 1e-2


def test_squares_are_squares_of_all_sides_and_reach_all_borders():
    drawn = torch.cat(list(squares((20, 30), 400, 0.25, torch.Generator().manual_seed(1))))
    assert drawn.shape == (400, 20, 30)
    rows, columns = drawn.any(dim=2).sum(dim=1), drawn.any(dim=1).sum(dim=1)
    assert torch.equal(rows, columns)
    assert torch.equal(drawn.flatten(1).sum(dim=1), rows * columns)
    counts = rows.bincount()
    assert counts.numpy() == pytest.approx([0, 80, 80, 80, 80, 80], abs=4.5 * (400 * 0.16) ** 0.5)
    for border in (drawn[:, 0], drawn[:, -1], drawn[:, :, 0], drawn[:, :, -1]):
        assert border.any()


def test_noise_has_its_sigma_and_the_noisy_baseline_is_what_is_left():
    image, baseline = torch.randn(3, 40, 40), torch.full((3, 40, 40), 2.0)
    noise = torch.cat(list(NOISE["gaussian"](image, baseline, 40, 0.3, torch.Generator().manual_seed(0))))
    assert noise.std().item() == pytest.approx(0.3, rel=0.01)
    assert noise.mean().item() == pytest.approx(0, abs=0.003)
    drawn = torch.cat(list(NOISE["noisy_baseline"](image, baseline, 40, 0.3, torch.Generator().manual_seed(0))))
    torch.testing.assert_close(image - drawn, baseline + noise)


def test_a_map_of_zeros_has_no_best_scale_but_a_plain_value():
    model, images, targets, exact = linear_case()
    maps = torch.stack([torch.zeros_like(exact), exact], dim=1)
    found = Infidelity(n_samples=10).scores(model, images, targets, maps)
    assert found.values.isnan().tolist() == [[True, False]] * 3
    assert found.reasons[0] == ("no perturbation meets any relevance, so the best scale is undefined", "")
    plain = Infidelity(n_samples=10, normalized=False).scores(model, images, targets, maps)
    assert (plain.values > 0).all()
    maps[1, 1, 2, 2] = torch.inf
    found = Infidelity(n_samples=10).scores(model, images, targets, maps)
    assert found.reasons[1][1] == "map holds NaN or infinity"
    assert found.forward_passes[1].tolist() == [11.0, 0.0]


def test_neighbours_and_batch_size_change_nothing():
    model, images, targets, exact = linear_case(3)
    for perturbation, reading in (("square", "contributions"), ("square", "slopes"), *((n, "slopes") for n in NOISE)):
        metric = Infidelity(perturbation, reading, n_samples=35, score="probability")
        together = metric.scores(model, images, targets, exact[:, None]).values
        alone = torch.cat(
            [
                metric.scores(model, images[b : b + 1], targets[b : b + 1], exact[b : b + 1, None], batch_size=7).values
                for b in range(3)
            ]
        )
        torch.testing.assert_close(alone, together, atol=1e-9, rtol=0)
    assert isinstance(metric, ModelMetric)


def test_settings_are_checked():
    with pytest.raises(UnknownName, match="square"):
        Infidelity("squares")
    with pytest.raises(ValueError, match="sigma above 0"):
        Infidelity(sigma=0)
    with pytest.raises(ValueError, match="only reading='slopes'"):
        Infidelity("gaussian")
    with pytest.raises(UnknownName, match="slopes"):
        Infidelity(reading="slope")
