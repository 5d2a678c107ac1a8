"""torch-cam's deletion and insertion; RISE's own are in test_rise_goldens."""

from dataclasses import dataclass, replace

import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.deletion import Deletion
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.presets import PRESETS
from xaibench.metrics.steps import PixelSteps

GOLDEN = Golden("deletion_presets")


@dataclass(frozen=True)
class Stored:
    """A baseline picture read from the golden file."""

    key: str

    def __call__(self, images):
        which = next(i for i, image in enumerate(GOLDEN["images"]) if torch.equal(image, images[0]))
        return GOLDEN[self.key][which : which + 1]


@pytest.mark.parametrize("case", ["zeros_probability", "zeros_logit", "blur_probability", "ties"])
def test_torchcam(case):
    settings = GOLDEN.cases[f"torchcam/{case}"]["settings"]
    maps, baseline = GOLDEN[GOLDEN.cases[f"torchcam/{case}"]["inputs"][1]], settings["baseline"]
    choices = {
        "score": "logit" if settings["score"] == "logit" else "probability",
        "steps": PixelSteps(settings["chunk_px"]),
    }
    if baseline != "zeros":
        choices["baseline"] = Stored(baseline)
    curves = [replace(curve, **choices) for curve in PRESETS["torchcam"]]
    images, targets = GOLDEN["images"], GOLDEN["predicted"]
    drawn = perturbation_curves(GOLDEN.network(), images, targets, maps[:, None], curves, batch_size=9)
    for name in ("deletion", "insertion"):
        stored = f"torchcam/{case}/{name}"
        torch.testing.assert_close(drawn[name].scores[:, 0], GOLDEN[stored], atol=1e-10, rtol=0)
        torch.testing.assert_close(drawn[name].areas[:, 0], GOLDEN[f"{stored}_auc"], atol=1e-6, rtol=0)


def test_torchcams_steps_are_the_presets_on_an_image_that_20_divides():
    deletion, _ = PRESETS["torchcam"]
    assert deletion.counts(560) == tuple(GOLDEN["torchcam/zeros_logit/counts"].tolist())


def test_defaults_are_rises():
    assert (Deletion(step_px=1792).curve(), Insertion(step_px=1792).curve()) == PRESETS["rise"]
