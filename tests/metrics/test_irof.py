"""IROF: Quantus on stored segments, and closed forms of its area."""

from dataclasses import dataclass, replace

import pytest
import torch
from metric_goldens import Golden
from region_cases import StoredRegions, regions_in_order
from torch import nn

from xaibench.metrics.irof import IROF, ZERO_PROBABILITY, area_over_curve
from xaibench.metrics.perturbation import draw_metric, perturbation_curves

GOLDEN = Golden("faithfulness")
IMAGES, MAPS, TARGETS = GOLDEN["images"], GOLDEN["attribution_maps"], GOLDEN["predicted"]
SEGMENTS = GOLDEN["irof/zero/segments"]


@dataclass(frozen=True)
class QuantusMean:
    """What Quantus's loop leaves behind: each segment gets the mean of the image that the segments before it left."""

    def fill(self, image, removed):
        b = next(b for b, known in enumerate(IMAGES) if torch.equal(known, image[0]))
        step, picture = torch.empty_like(SEGMENTS[b]), image[0].clone()
        for k, segment in enumerate(regions_in_order(MAPS[b], SEGMENTS[b])):
            inside = SEGMENTS[b] == segment
            step[inside] = k
            picture[:, inside] = picture.mean()
        n_removed = torch.stack([step[one].max() + 1 if one.any() else step.new_tensor(0) for one in removed[:, 0]])
        assert torch.equal(removed[:, 0], step < n_removed[:, None, None])  # always the first ones
        filled = []  # what was put into a segment stays when others are removed
        for n in n_removed:
            filled.append(torch.where(step < n, picture, image[0]))
        return torch.stack(filled)


@pytest.mark.parametrize(("case", "baseline"), [("zero", "zero"), ("mean", QuantusMean())])
def test_quantus(case, baseline):
    metric = IROF(baseline=baseline, unit="segments")
    (curve,) = metric.curves()
    curve = replace(curve, regions=StoredRegions(IMAGES, SEGMENTS))
    drawn = perturbation_curves(GOLDEN.network(), IMAGES, TARGETS, MAPS[:, None], [curve])
    found = metric.value([drawn["irof"]])
    torch.testing.assert_close(found.values[:, 0], GOLDEN[f"irof/{case}/area_over_curve"], atol=0.005, rtol=0)
    assert found.curve_x.isnan().sum(dim=2).flatten().tolist() == [0, 7, 6]  # 114, 107 and 108 segments
    torch.testing.assert_close(found.curve_y[:, 0, 0], torch.ones(3, dtype=torch.float64))


def test_segments_of_both_cases_are_the_same():
    assert torch.equal(SEGMENTS, GOLDEN["irof/mean/segments"])


def test_area_over_curve():
    straight = torch.linspace(1, 0, 5, dtype=torch.float64)
    assert float(area_over_curve(straight, unit="share")) == pytest.approx(0.5)
    assert float(area_over_curve(straight, unit="segments")) == pytest.approx(4 - (0.75 + 0.5 + 0.5 + 0.25 + 0.25) / 2)
    assert float(area_over_curve(torch.ones(3), unit="share")) == 0
    assert float(area_over_curve(torch.tensor([1.0, 0.0]), unit="share")) == 0.5
    assert float(area_over_curve(torch.tensor([1.0, 3.0, 3.0]), unit="share")) == pytest.approx(-1.5)


class Fixed(nn.Module):
    """Logits whatever the image; the first class has probability 0 in float32."""

    def forward(self, images):
        return torch.tensor([-1e4, 0.0]).expand(len(images), 2)


def test_a_probability_of_zero_has_no_ratio():
    images, maps = IMAGES[:1].float(), MAPS[:1, None].float()
    found = draw_metric(Fixed(), images, torch.tensor([0]), maps, IROF(n_segments=4))
    assert found.values.isnan().all()
    assert found.reasons == ((ZERO_PROBABILITY,),)
    assert float(found.forward_passes.sum()) > 1
    fine = draw_metric(Fixed(), images, torch.tensor([1]), maps, IROF(n_segments=4))
    assert float(fine.values[0, 0]) == pytest.approx(0, abs=1e-7)
    assert fine.reasons == (("",),)


@pytest.mark.usefixtures("as_in_production")
def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="did you mean share"):
        IROF(unit="shar")
