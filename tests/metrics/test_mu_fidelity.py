import numpy as np
import pytest
import torch
from linear_models import LinearModel, linear_case
from metric_goldens import Golden
from scipy.stats import spearmanr

from xaibench.metrics.map_scores import ModelMetric
from xaibench.metrics.mu_fidelity import MuFidelity, cell_masks, mu_fidelity
from xaibench.names import UnknownName

XPLIQUE, NOISY = Golden("xplique"), Golden("faithfulness")


def test_cells_meet_pixels_as_in_xplique():
    kept = ~cell_masks(XPLIQUE["draws"].view(60, 9, 9) <= 0.2, (20, 28), resize="nearest-exact")
    assert torch.equal(kept, XPLIQUE["mu_fidelity_logit/kept_masks"].bool())


@pytest.mark.parametrize(("reading", "score"), [("logit", "logit"), ("softmax", "probability")])
def test_agrees_with_xplique_on_its_draws(reading, score):
    removed = cell_masks(XPLIQUE["draws"].view(60, 9, 9) <= 0.2, (20, 28), resize="nearest-exact")
    found = mu_fidelity(
        XPLIQUE.network(),
        XPLIQUE["images"],
        XPLIQUE["predicted"],
        XPLIQUE["maps"][:, None],
        score=score,
        removed=removed.expand(3, -1, -1, -1),
    )
    torch.testing.assert_close(found.values[:, 0], XPLIQUE[f"mu_fidelity_{reading}/per_image"], atol=2e-3, rtol=0)


def test_agrees_with_pnpxai_on_its_masks_and_noise():
    key = "mu_fidelity_noisy"
    found = mu_fidelity(
        NOISY.network(),
        NOISY["images"],
        NOISY["predicted"],
        NOISY["attribution_maps"][:, None],
        noise_scale=0.2,
        removed=~NOISY[f"{key}/kept_masks"].bool(),
        noise=NOISY[f"{key}/noise"],
    )
    torch.testing.assert_close(found.values[:, 0], NOISY[f"{key}/correlation"], atol=1e-6, rtol=0)


def test_pnpxais_draws_remove_17_of_81_cells_and_resize_by_corners():
    metric = MuFidelity(cells="fixed", cell_resize="nearest", n_samples=40)
    masks = torch.cat(list(metric.draw(torch.zeros(3, 9, 9))))
    assert masks.flatten(1).sum(dim=1).tolist() == [17] * 40
    cells = torch.rand(24, 9, 9, generator=torch.Generator().manual_seed(0)) < 0.2
    rows, columns = np.arange(20) * 9 // 20, np.arange(28) * 9 // 28
    assert np.array_equal(cell_masks(cells, (20, 28), resize="nearest"), cells.numpy()[:, rows][:, :, columns])


def test_each_cell_is_removed_with_the_given_probability():
    masks = torch.cat(list(MuFidelity(grid=3, n_samples=4000).draw(torch.zeros(3, 3, 3))))
    assert masks.double().mean(dim=0).numpy() == pytest.approx(0.2, abs=4.5 * (0.16 / 4000) ** 0.5)
    assert len(masks.flatten(1).sum(dim=1).unique()) > 4


@pytest.mark.parametrize("noise_scale", [0.0, 0.2])
def test_matches_a_loop_with_scipys_spearman(noise_scale):
    _, images, targets, _ = linear_case(2)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(216, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4))
    network = network.double()
    maps = torch.randn(2, 2, 8, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    removed = torch.rand(2, 30, 8, 9, generator=torch.Generator().manual_seed(2)) < 0.3
    noise = torch.randn(2, 30, 3, 8, 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = mu_fidelity(
        network, images, targets, maps, removed=removed, noise=noise, noise_scale=noise_scale, batch_size=7
    )
    for b, x in enumerate(images):
        drops = []
        for mask, drawn in zip(removed[b], noise[b], strict=True):
            kept = x + noise_scale * (drawn * x.std() + x.mean())
            kept = torch.minimum(torch.maximum(kept, x - 1), x) if noise_scale else x
            with torch.no_grad():
                both = network(torch.stack([x, torch.where(mask, 0.0, kept)]))[:, targets[b]]
            drops.append(float(both[0] - both[1]))
        for m in range(2):
            sums = [float(maps[b, m][mask].sum()) for mask in removed[b]]
            assert found.values[b, m].item() == pytest.approx(spearmanr(sums, drops).statistic, abs=1e-10)


def test_exact_attribution_of_a_linear_model_is_1_and_its_negative_minus_1():
    model, images, targets, exact = linear_case()
    found = MuFidelity(grid=4, n_samples=50).scores(model, images, targets, torch.stack([exact, -exact], dim=1))
    torch.testing.assert_close(found.values, torch.tensor([[1.0, -1.0]] * 3, dtype=torch.float64))
    assert model.n_seen == found.forward_passes.sum() == 3 * 51


def test_equal_sums_are_ties_whatever_the_order_of_summation():
    model, images, targets, _ = linear_case(1)
    tied = torch.zeros(1, 1, 8, 9, dtype=torch.float64)
    tied[..., :3] = 0.1
    removed = torch.zeros(1, 4, 8, 9, dtype=torch.bool)
    removed[0, 0, :, 0] = removed[0, 1, :, 1] = removed[0, 2, 1:, 2] = removed[0, 3, :, 5] = True
    removed[0, 2, 4, 0] = True  # 0.8 by three different pixel sets, and one of 0
    found = mu_fidelity(model, images, targets, tied, removed=removed)
    drops = [float(model((images[0] * mask)[None])[0, targets[0]]) for mask in removed[0]]
    assert found.values.item() == pytest.approx(spearmanr([1, 1, 1, 0], drops).statistic)


def test_neighbours_and_batch_size_change_nothing_with_noise_either():
    model, images, targets, exact = linear_case(3)
    metric = MuFidelity(grid=4, n_samples=40, noise_scale=0.2, score="probability")
    together = metric.scores(model, images, targets, exact[:, None]).values
    alone = torch.cat(
        [
            metric.scores(model, images[b : b + 1], targets[b : b + 1], exact[b : b + 1, None], batch_size=7).values
            for b in range(3)
        ]
    )
    torch.testing.assert_close(alone, together, atol=1e-9, rtol=0)
    assert isinstance(metric, ModelMetric)


def test_constant_maps_and_indifferent_models_are_undefined():
    model, images, targets, exact = linear_case()
    found = MuFidelity(n_samples=20).scores(model, images, targets, torch.ones_like(exact)[:, None])
    assert found.reasons == (("constant map",),) * 3
    found = MuFidelity(n_samples=20).scores(LinearModel(model.weights * 0), images, targets, exact[:, None])
    assert found.values.isnan().all()
    assert found.reasons == (("the score is the same after every change",),) * 3


def test_settings_are_checked():
    with pytest.raises(UnknownName, match="fixed"):
        MuFidelity(cells="fix")
    with pytest.raises(UnknownName, match="nearest"):
        MuFidelity(cell_resize="bilinear")
    with pytest.raises(ValueError, match="removed_share between 0 and 1"):
        MuFidelity(removed_share=1.0)
