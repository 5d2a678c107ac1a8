import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.gain import AverageGain, average_gain
from xaibench.metrics.masking import masked_scores

XPLIQUE = Golden("xplique")


@pytest.mark.parametrize(("case", "score"), [("softmax", "probability"), ("logit", "logit")])
def test_xplique(case, score):
    """It multiplies with the magnitudes of the map, and ran in float32."""
    metric = AverageGain(score=score, sign="absolute")
    images, targets, maps = XPLIQUE["images"], XPLIQUE["predicted"].long(), XPLIQUE["maps"][:, None]
    scores = masked_scores(XPLIQUE.network(), images, targets, maps, mask=metric.mask, score=score)
    gain = metric(scores.clean, scores.masked[:, 0])
    torch.testing.assert_close(gain, XPLIQUE[f"average_gain_{case}/per_image"], atol=2e-4, rtol=0)
    assert bool((gain != 0).any())


def test_by_hand():
    clean, masked = torch.tensor([0.8, 0.5, 1.0, 0.4]), torch.tensor([0.9, 0.2, 0.7, torch.nan])
    expected = torch.tensor([0.5, 0.0, torch.nan, torch.nan])
    torch.testing.assert_close(average_gain(clean, masked), expected, equal_nan=True)
