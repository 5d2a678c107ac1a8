"""Every preset against the numbers of the program it is named after; RISE's own are in test_rise_goldens."""

from dataclasses import dataclass

import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.areas import AREAS
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.presets import PRESETS, preset_settings
from xaibench.metrics.program_baselines import BoxBlur, CutBlur, Minimum
from xaibench.metrics.steps import ChunkSteps, FractionSteps, LinspaceSteps, PixelSteps, PointSteps
from xaibench.names import UnknownName

GOLDEN, XPLIQUE = Golden("deletion_presets"), Golden("xplique")


def cases_of(program, golden=GOLDEN):
    return [name for name in golden.cases if name.startswith(program)]


def close(actual, expected, tolerance):
    torch.testing.assert_close(actual.double(), expected.double(), atol=tolerance, rtol=0)


def draw(metric, maps, golden=GOLDEN):
    return metric(golden.network(), golden["images"], maps, golden["predicted"], batch_size=9)


@dataclass(frozen=True)
class Stored:
    """A baseline picture read from the golden file."""

    key: str

    def __call__(self, images):
        which = next(i for i, image in enumerate(GOLDEN["images"]) if torch.equal(image, images[0]))
        return GOLDEN[self.key][which : which + 1]


@pytest.mark.parametrize("name", cases_of("torchcam"))
def test_torchcam(name):
    case = GOLDEN.cases[name]
    settings = case["settings"]
    choices = {
        "score": "logit" if settings["score"] == "logit" else "probability",
        "steps": ChunkSteps(settings["steps"]),
    }
    if settings["baseline"] != "zeros":
        choices["baseline"] = Stored(settings["baseline"])
    for kind in ("deletion", "insertion"):
        metric = preset_settings("torchcam", kind, **choices)
        assert metric.step_rule()(560) == tuple(GOLDEN[f"{name}/counts"].tolist())
        drawn = draw(metric, GOLDEN[case["inputs"][1]])
        close(drawn.scores, GOLDEN[f"{name}/{kind}"], 1e-10)
        close(drawn.areas, GOLDEN[f"{name}/{kind}_auc"], 1e-6)


@pytest.mark.parametrize("name", cases_of("pnpxai"))
def test_pnpxai(name):
    case = GOLDEN.cases[name]
    maps, steps = GOLDEN[case["inputs"][1]], PointSteps(case["settings"]["n_steps"])
    assert steps(560) == tuple(GOLDEN[f"{name}/counts"].tolist())
    for kind in ("morf", "lerf"):
        drawn = draw(preset_settings("pnpxai", kind, steps=steps), maps)
        close(drawn.scores, GOLDEN[f"{name}/{kind}_curve"], 1e-10)
        close(drawn.areas, GOLDEN[f"{name}/{kind}"], 1e-10)
    between = draw(preset_settings("pnpxai", "area_between_curves", steps=steps), maps)
    close(between.areas, GOLDEN[f"{name}/abpc"], 1e-10)


@pytest.mark.parametrize("score", ["linear", "softmax", "sigmoid"])
@pytest.mark.parametrize("name", cases_of("attribench"))
def test_attribench(name, score):
    settings = GOLDEN.cases[name]["settings"]
    inserting = settings["mode"].startswith("insertion")
    kind = "insertion" if inserting else {"morf": "deletion", "lerf": "lerf"}[settings["mode"]]
    steps = FractionSteps(
        settings["num_steps"], settings["start"], settings["stop"], counted="unchanged" if inserting else "changed"
    )
    masked = GOLDEN[f"{name}/counts"]
    assert steps(560) == tuple((560 - masked if inserting else masked).tolist())
    metric = preset_settings(
        "attribench",
        kind,
        steps=steps,
        score={"linear": "logit", "softmax": "probability"}.get(score, score),
        baseline="zero" if settings["masker"] == "0" else BoxBlur(),
    )
    drawn = draw(metric, GOLDEN["maps"])
    close(drawn.scores, GOLDEN[f"{name}/{score}"], 1e-8)
    close(drawn.areas, GOLDEN[f"{name}/{score}_auc"], 1e-8)
    close(AREAS["mean_drop"](drawn.fractions, drawn.scores), GOLDEN[f"{name}/{score}_aoc"], 1e-8)


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_latec(kind):
    choices = {"step_px": 50} if kind == "deletion" else {"step_px": 50, "baseline": CutBlur(9, 5.0)}
    drawn = draw(preset_settings("latec", kind, **choices), GOLDEN["maps"])
    close(drawn.fractions * 560, GOLDEN[f"latec/{kind}/counts"], 1e-12)
    close(drawn.scores, GOLDEN[f"latec/{kind}/curve"], 1e-5)
    close(drawn.areas, GOLDEN[f"latec/{kind}/area"], 1e-5)


@pytest.mark.parametrize("name", cases_of("quantus_pixel_flipping"))
def test_quantus(name):
    settings = GOLDEN.cases[name]["settings"]
    baseline = "minimum" if name.endswith("black") else "zero"
    metric = preset_settings(
        "quantus", "pixel_flipping", features_in_step=settings["features_in_step"], baseline=baseline
    )
    drawn = metric.flip_channel_values(
        GOLDEN.network(), GOLDEN["images"], GOLDEN["predicted"], GOLDEN["maps_per_channel"][:, None], batch_size=9
    )
    close(drawn.curve_y[:, 0], GOLDEN[f"{name}/curve"], 1e-5)
    close(drawn.values[:, 0], GOLDEN[f"{name}/area"], 1e-4)


@pytest.mark.parametrize("name", [*cases_of("deletion", XPLIQUE), *cases_of("insertion", XPLIQUE)])
def test_xplique(name):
    case = XPLIQUE.cases[name]
    settings = case["settings"]
    steps = LinspaceSteps(settings["steps"], settings["max_percentage_perturbed"])
    assert steps(560) == tuple(XPLIQUE[f"{name}/counts"].tolist())
    score = "logit" if settings["score"] == "logit" else "probability"
    drawn = draw(
        preset_settings("xplique", settings["mode"], steps=steps, score=score), XPLIQUE[case["inputs"][2]], XPLIQUE
    )
    close(drawn.scores, XPLIQUE[f"{name}/curves"], 1e-4)
    close(drawn.areas, XPLIQUE[f"{name}/auc"], 1e-4)
    close(drawn.areas.mean(), XPLIQUE[f"{name}/auc_of_mean_curve"], 1e-4)


def test_every_curve_case_of_the_goldens_is_compared():
    programs = ("torchcam", "pnpxai", "attribench", "latec", "quantus_pixel_flipping", "quantus_region_perturbation")
    assert len(GOLDEN.cases) == sum(len(cases_of(program)) for program in programs) == 21
    assert len(cases_of("deletion", XPLIQUE)) == len(cases_of("insertion", XPLIQUE)) == 8


def test_defaults_are_rises():
    rise = PRESETS["rise"].metrics
    assert rise == {"deletion": Deletion(step_px=1792), "insertion": Insertion(step_px=1792)}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_says_where_it_comes_from(name):
    preset = PRESETS[name]
    assert preset.source
    assert preset.version
    Golden(preset.golden)
    assert preset.metrics


def test_a_field_of_a_preset_can_be_changed():
    assert preset_settings("torchcam", "deletion", score="probability").area == "trapezoid"
    assert preset_settings("torchcam", "deletion").step_rule() == ChunkSteps(20)
    assert preset_settings("torchcam", "deletion", step_px=3).step_rule() == PixelSteps(3)
    assert preset_settings("quantus", "pixel_flipping", features_in_step=5).features_in_step == 5


def test_unknown_names_come_with_near_ones():
    with pytest.raises(UnknownName, match="unknown preset 'torch_cam'; did you mean torchcam"):
        preset_settings("torch_cam", "deletion")
    with pytest.raises(UnknownName, match=r"metric of preset rise 'morf'.*Available: deletion, insertion"):
        preset_settings("rise", "morf")


def test_minimum_is_taken_over_all_channels():
    images = torch.arange(24.0).view(2, 3, 2, 2)
    assert Minimum()(images).flatten(1).unique(dim=1).tolist() == [[0.0], [12.0]]
