"""Oracle and corrupted maps in a run: what is refused, and a small run from settings to the page."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from xaibench.composition import compose_settings

CORRUPTED = "+explainer.half={name:corrupted,of:grad_cam,share:0.5}"


def words_of(small_run, *, n_images):
    kept = [word for word in small_run if not word.startswith(("sanity.", "data.n=", "explainer=", "metric="))]
    return [*kept, f"data.n={n_images}", "sanity=none", "timing=none"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["+explainer.half={name:corrupted,of:nobody,share:0.5}"], "nobody"),
        (["+explainer.half={name:corrupted,share:0.5}"], "explainer.half.of"),
        (["+explainer.half={name:corrupted,of:grad_cam,share:2}"], "between 0 and 1"),
        (["metric=[max_sensitivity]", CORRUPTED], "cannot try half"),
    ],
)
def test_what_does_not_fit_is_refused_before_work_starts(command, small_run, words, message):
    status, _, err = command(*words_of(small_run, n_images=1), "explainer=[grad_cam]", *words)
    assert status != 0
    assert message in err


def test_the_experiment_corrupts_both_starts_step_by_step():
    leaves = compose_settings(["experiment=metric_validity"]).explainer
    shares = {
        of: [leaf["share"] for leaf in leaves.values() if leaf["name"] == "corrupted" and leaf["of"] == of]
        for of in ("grad_cam", "oracle")
    }
    assert shares == {"grad_cam": [0.25, 0.5, 0.75, 1.0], "oracle": [0.25, 0.5, 0.75, 1.0]}


def test_a_small_run_follows_its_maps_from_whole_to_corrupted(command, small_run, tmp_path):
    oracle = "+explainer.half_oracle={name:corrupted,of:oracle,share:0.5}"
    status, out, err = command(
        *words_of(small_run, n_images=3),
        "explainer=[grad_cam,oracle,sobel]", "metric=[deletion,energy_in_mask]", CORRUPTED, oracle,
    )  # fmt: skip
    assert status == 0, err
    table = pd.read_csv(tmp_path / "run" / "tables" / "corruption_means.csv")
    assert set(table["share"]) == {0.0, 0.5}
    assert "oracle" in set(table["start"])
    summary = pd.read_csv(tmp_path / "run" / "summary.csv")
    assert not set(summary["explainer"]) & {"half", "half_oracle"}
    assert "half_oracle" not in out
    maps = load_file(next((tmp_path / "run" / "maps").glob("scores-*.safetensors")))
    name = next(key for key in maps if key.startswith("map/oracle/")).split("/")[-1]
    whole, half = maps[f"map/oracle//{name}"], maps[f"map/half_oracle//{name}"]
    assert np.array_equal(np.sort(whole, axis=None), np.sort(half, axis=None))
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["explainer"]
    assert settings["half"] == {"name": "corrupted", "of": "grad_cam", "share": 0.5}
    assert 'id="trust"' in (tmp_path / "run" / "report.html").read_text()
