"""Whole runs of seconds: what is stored, that nothing is lost, and that bad images are told."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from own_models import SMALL_RUN
from PIL import Image

from xaibench import experiment
from xaibench.records.run_folder import RunFolder, RunFolderError, values_digest
from xaibench.settings import RunSettings

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run that nobody disturbed: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    return folder / "run", _run_elsewhere(folder, *SMALL_RUN, "timing=explanation_path", "timing.max_seconds=1.0")


def _run_elsewhere(folder, *words):
    done = subprocess.run(_program(*words), cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _program(*words):
    return [sys.executable, "-c", "import sys; from xaibench.cli import main; sys.exit(main())", *words]


def _environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}


def test_every_map_has_every_metric(finished):
    records = RunFolder.open(finished[0]).records()
    scores = records[records["explainer"] != ""]
    arms = {("grad_cam", "conv1"), ("grad_cam", "relu2"), ("random", ""), ("center", ""), ("sobel", "")}
    assert set(zip(scores["explainer"], scores["layer"], strict=True)) == arms
    per_map = scores[scores["shard"].str.startswith("scores")].groupby(["image", "explainer", "layer"])["metric"]
    metrics = {"deletion", "insertion", "average_drop", "increase_in_confidence"}
    metrics |= {"pointing_game", "energy_in_mask", "best_iou", "tied_fraction", "positive_fraction"}
    assert len(per_map) == 6 * 5
    assert all(set(found) == metrics for _, found in per_map)
    assert set(records["metric"]) >= {"parameter_randomization", "milliseconds", "image", "confidence", "correct"}


def test_curves_are_kept_and_their_area_is_the_value(finished):
    records = RunFolder.open(finished[0]).records()
    curves = records[records["metric"].isin(["deletion", "insertion"])]
    for row in curves.itertuples():
        assert len(row.curve_x) == 4
        assert row.value == pytest.approx(np.trapezoid(row.curve_y, dx=1 / 3), abs=1e-12)
        assert json.loads(row.settings)["area"] == "uniform_trapezoid"


def test_every_value_has_its_cost_and_undefined_ones_a_reason(finished):
    records = RunFolder.open(finished[0]).records()
    undefined = records[records["value"].isna()]
    assert (undefined["reason"] != "").all()
    curves = records[records["metric"] == "deletion"]
    # five maps share the clean image with insertion, and the fully removed one among themselves
    assert curves.groupby("image")["forward_passes"].sum().tolist() == pytest.approx([5 * 2 + 1 + 0.5] * 6)
    assert (curves["seconds"] > 0).all()


def test_the_cascade_has_every_module_seed_and_similarity(finished):
    records = RunFolder.open(finished[0]).records()
    rows = records[records["metric"] == "parameter_randomization"]
    steps = rows[["step", "module"]].drop_duplicates().sort_values("step")
    assert steps["module"].tolist() == ["", "fc", "bn2", "conv2", "bn1", "conv1"]
    assert set(rows["seed"]) == {0, 1}
    assert set(rows["variant"]) == {"spearman", "spearman_abs", "ssim"}
    sobel = rows[(rows["explainer"] == "sobel") & (rows["variant"] == "spearman")]
    np.testing.assert_allclose(sobel["value"], 1)


def test_maps_are_at_the_layers_own_resolution(finished):
    maps = RunFolder.open(finished[0]).maps()
    name = next(key for key in maps if key.startswith("picture/")).removeprefix("picture/")
    assert maps[f"picture/{name}"].shape == (32, 32, 3)
    assert maps[f"mask/{name}"].shape == (32, 32)
    assert maps[f"map/grad_cam/conv1/{name}"].shape == (16, 16)
    assert maps[f"map/grad_cam/relu2/{name}"].shape == (8, 8)
    assert maps[f"cascade/grad_cam/relu2/0/0/{name}"].shape == (8, 8)


def test_the_folder_holds_what_a_person_reads(finished):
    folder, printed = finished
    for name in ("summary.csv", "report.html", "run.json", "tables/summary.md", "tables/scores.tex"):
        assert (folder / name).stat().st_size > 0
    for name in ("curves", "scores", "gallery", "strip", "cascade", "cost"):
        assert (folder / "figures" / f"{name}.png").exists()
        assert (folder / "figures" / f"{name}.svg").exists()
    assert "grad_cam @ relu2" in printed
    assert str(folder.name) in printed
    assert "By insertion" in printed


def test_run_json_says_what_made_it(finished):
    run = json.loads((finished[0] / "run.json").read_text())
    assert run["settings"]["data"]["n"] == 6
    assert run["settings"]["seed"] == 0
    assert run["layers"] == ["conv1", "relu2"]
    assert len(run["data"]["digest"]) == 64
    assert run["finished"] is True
    made = run["provenance"][0]
    assert made["libraries"]["torch"]
    assert os.uname().nodename not in json.dumps(run)


def test_the_report_is_redrawn_from_records_without_torch(finished, tmp_path):
    folder = finished[0]
    before = {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.csv")}
    page = (folder / "report.html").read_bytes()
    code = (
        "import sys; from xaibench.cli import main; status = main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    subprocess.run([sys.executable, "-c", code, "report", str(folder)], env=_environment(), check=True)
    assert {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.csv")} == before
    assert (folder / "report.html").read_bytes() == page


def test_the_same_command_again_does_no_work(finished, tmp_path):
    records = sorted((finished[0] / "records").iterdir())
    times = [file.stat().st_mtime_ns for file in records]
    _run_elsewhere(finished[0].parent, *SMALL_RUN, "timing=explanation_path", "timing.max_seconds=1.0")
    assert [file.stat().st_mtime_ns for file in records] == times


def test_another_configuration_does_not_get_the_folder(command, small_run, finished, monkeypatch):
    monkeypatch.chdir(finished[0].parent)
    status, _, err = command(*small_run[:-1], f"out={finished[0]}", "data.seed=5")
    assert status == 1
    assert "belongs to another configuration" in err
    assert "data.seed: 1 → 5" in err


def _killed_at_random_moments(tmp_path, words, moments, seed):
    """Start the run and kill it, again and again, then let it end; the number of kills that hit a living process."""
    times = random.Random(seed)
    kills = 0
    for _ in range(moments):
        process = subprocess.Popen(
            _program(*words), cwd=tmp_path, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(times.uniform(2.0, 9.0))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    _run_elsewhere(tmp_path, *words)
    return kills


@pytest.mark.slow
def test_killed_at_ten_random_moments_the_values_are_those_of_an_undisturbed_run(tmp_path):
    words = [word for word in SMALL_RUN if not word.startswith("data.n")]
    words += ["data.n=40", "sanity.parameter_randomization.seeds=[0,1,2]", "threads=1"]
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    _run_elsewhere(tmp_path / "whole", *words)
    assert _killed_at_random_moments(tmp_path / "killed", words, 10, seed=0) >= 3
    whole, killed = (RunFolder.open(tmp_path / name / "run") for name in ("whole", "killed"))
    assert values_digest(killed.records()) == values_digest(whole.records())
    for table in ("summary", "comparisons", "sanity", "images", "agreement"):
        paths = [run.path / "tables" / f"{table}.csv" for run in (whole, killed)]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert (whole.path / "summary.csv").read_bytes() == (killed.path / "summary.csv").read_bytes()


def test_killed_while_a_shard_is_written_the_values_are_the_same(finished, tmp_path, monkeypatch):
    """Death between any two shards: the values are those of the undisturbed run."""
    from xaibench.composition import compose_settings
    from xaibench.experiment import run_experiment

    class Killed(BaseException):
        pass

    monkeypatch.chdir(tmp_path)
    settings = compose_settings([*SMALL_RUN, "timing=explanation_path", "timing.max_seconds=1.0"])
    write = RunFolder.write

    def die_after_maps(self, shard, records, maps):
        if shard == "scores-0001" and not self.path.with_name("died").exists():
            self.path.with_name("died").touch()
            (self.path / "maps" / f"{shard}.safetensors.partial").write_bytes(b"torn")
            raise Killed
        write(self, shard, records, maps)

    monkeypatch.setattr(RunFolder, "write", die_after_maps)
    with pytest.raises(Killed):
        run_experiment(settings, progress=False)
    folder = run_experiment(settings, progress=False)
    assert values_digest(RunFolder.open(folder).records()) == values_digest(RunFolder.open(finished[0]).records())


def _picture(path, mode="RGB", size=(40, 36), seed=0):
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 4), dtype=np.uint8)
    Image.fromarray(values, "RGBA").convert(mode).save(path)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_odd_pictures_are_used_or_told_and_the_run_goes_on(command, small_run, tmp_path):
    root = tmp_path / "photos"
    for name in ("disk", "square"):
        (root / name).mkdir(parents=True)
    _picture(root / "disk" / "plain.png")
    _picture(root / "disk" / "grey.png", "L", seed=1)
    _picture(root / "disk" / "alpha.png", "RGBA", seed=2)
    _picture(root / "square" / "cmyk.jpg", "CMYK", seed=3)
    Image.fromarray(np.arange(40 * 36, dtype=np.uint16).reshape(36, 40) * 40).save(root / "square" / "sixteen.png")
    whole = (root / "disk" / "plain.png").read_bytes()
    (root / "square" / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (root / "square" / "text.jpg").write_text("no image")
    _picture(root / "square" / "tiny.png", size=(3, 2))
    quick = ["sanity=none", "metric=[deletion,energy_in_mask]", "explainer=[grad_cam,sobel]"]
    words = [word for word in small_run if not word.startswith(("data.", "sanity."))]
    status, _, err = command(*words, *quick, "data=folder", f"data.root={root}")
    assert status == 0, err
    images = RunFolder.open(tmp_path / "run").records().query("metric == 'image'").set_index("image")
    told = {name.split("-", 1)[1]: row for name, row in images.iterrows()}
    assert {name for name, row in told.items() if row["status"] == "failed"} == {
        "truncated",
        "text",
        "tiny",
    }
    assert "truncated" in told["truncated"]["reason"]
    assert all(row["reason"] for row in told.values() if row["status"] == "failed")
    assert "CMYK" in told["cmyk"]["reason"]
    assert told["plain"]["label"] == 0
    assert told["cmyk"]["label"] == 1
    records = RunFolder.open(tmp_path / "run").records()
    assert records[records["metric"] == "deletion"]["image"].nunique() == 5
    assert "square-text" in (tmp_path / "run" / "report.html").read_text()


def test_a_folder_of_nothing_but_broken_pictures_says_so(command, small_run, tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    (root / "text.jpg").write_text("no image")
    words = [word for word in small_run if not word.startswith(("data.", "sanity."))]
    status, _, err = command(*words, "sanity=none", "data=folder", f"data.root={root}")
    assert status == 1
    assert "none of the 1 images could be used" in err


def test_images_on_which_the_model_breaks_down_become_rows(command, small_run, tmp_path):
    status, _, err = command(
        *[word for word in small_run if not word.startswith("sanity.")],
        "model=own_models:breaking",
        "layers=[network.relu2]",
        "sanity=none",
        "data.n=12",
    )
    assert status == 0, err
    records = RunFolder.open(tmp_path / "run").records()
    images = records[records["metric"] == "image"]
    failed = images[images["status"] == "failed"]
    assert 0 < len(failed) < 12
    assert set(failed["reason"]) == {"model output holds NaN or infinity"}
    assert not set(failed["image"]) & set(records[records["metric"] == "deletion"]["image"])


def test_pairs_and_mosaics_run(command, small_run, tmp_path):
    words = [word for word in small_run if not word.startswith(("data.n", "out"))]
    for variant in ("pair", "mosaic"):
        quick = ["sanity=none", "data.n=2", f"data.variant={variant}", f"out={variant}", "target=label"]
        status, _, err = command(*[w for w in words if not w.startswith("sanity.")], *quick)
        assert status == 0, err
        table = pd.read_csv(tmp_path / variant / "summary.csv")
        assert set(table["metric"]) >= {"deletion", "energy_in_mask"}


def test_methods_of_one_family_share_a_pass(command, small_run, tmp_path):
    words = [*small_run, "explainer=[grad_cam,hires_cam,layer_cam]", "sanity=none", "metric=[energy_in_mask]"]
    status, _, err = command(*[w for w in words if not w.startswith(("sanity.", "curve_steps"))])
    assert status == 0, err
    records = RunFolder.open(tmp_path / "run").records()
    made = records[records["metric"] == "tied_fraction"]
    assert made.groupby("image")["forward_passes"].sum().tolist() == pytest.approx([1.0] * 6)
    assert made.groupby("image").size().tolist() == [6] * 6


def test_a_missing_run_is_named(command):
    status, _, err = command("report", "nowhere")
    assert status == 1
    assert "holds no run" in err


def test_the_error_of_a_foreign_folder_is_a_run_folder_error(tmp_path):
    with pytest.raises(RunFolderError):
        RunFolder.open(tmp_path)


def test_float32_means_float32_in_the_whole_run_and_the_flags_come_back(monkeypatch, tmp_path):
    """torch's flags exist without a CUDA device, on which alone they have an effect."""
    flags = [torch.backends.cudnn.conv, torch.backends.cuda.matmul]
    before, seen = [flag.fp32_precision for flag in flags], []

    def stopped(*_, **__):
        seen.append([flag.fp32_precision for flag in flags])
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "set_up", stopped)
    with pytest.raises(KeyboardInterrupt):
        experiment.run_experiment(RunSettings(out=str(tmp_path / "run")), progress=False)
    assert seen == [["ieee", "ieee"]]
    assert [flag.fp32_precision for flag in flags] == before != seen[0]
