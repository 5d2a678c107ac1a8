"""``xaibench compare``: its words, its errors, and regressions planted into real timings."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import torch
from compared_runs import scores, times, written_run
from own_models import classifier
from torch import nn

from xaibench import experiment
from xaibench.composition import compose_settings
from xaibench.explainers import capture
from xaibench.records.merge import merge
from xaibench.report.compare.comparison import compare_runs, default_folder
from xaibench.report.compare.times import SLOWER

VALUES = {("grad_cam", "late"): [0.5, 0.6, 0.7, 0.8]}
TIMED = ("late", "explanation")


@pytest.fixture
def runs(tmp_path):
    """A run, and one whose explanation takes three times as long."""
    a = written_run(tmp_path / "a", [*scores(VALUES), *times({TIMED: [10.0, 10.1]})])
    b = written_run(tmp_path / "b", [*scores(VALUES, seconds=2.0), *times({TIMED: [30.0, 30.1]})])
    return a, b


def test_a_comparison_is_printed_and_written(command, runs, tmp_path):
    status, out, err = command("compare", "before=a", "after=b", "out=c")
    assert (status, err) == (0, "")
    assert (
        "1 of 1 time is longer in after than in before, as measured by over 10 %, most of all late · explanation" in out
    )
    assert "late · explanation" in out
    assert (tmp_path / "c" / "compare.html").is_file()


def test_a_regression_fails_where_it_is_asked_to(command, runs, monkeypatch):
    monkeypatch.setattr(
        "xaibench.report.compare.comparison.write_comparison", lambda comparison, folder: folder / "compare.html"
    )
    assert command("compare", "a", "b", "--fail-on-regression", "out=c")[0] == 1
    assert command("compare", "b", "a", "--fail-on-regression", "out=c")[0] == 0
    assert command("compare", "a", "b", "--fail-on-regression", "threshold=3", "out=c")[0] == 0
    assert command("compare", "a", "b", "out=c")[0] == 0


def test_a_folder_is_named_by_what_is_compared(runs):
    name = default_folder(merge(runs).runs)
    assert name.parent.name == "results"
    assert name == default_folder(merge(runs).runs)
    assert name != default_folder(merge([f"other={runs[0]}", runs[1]]).runs)


def test_benchmark_files_are_compared(command, tmp_path):
    for name, median in (("x.json", 0.1), ("y.json", 0.2)):
        stats = {"median": median, "rounds": 1, "q1": median, "q3": median}
        (tmp_path / name).write_text(json.dumps({"benchmarks": [{"name": "test_it", "stats": stats}]}))
    status, out, _ = command("compare", "x.json", "y.json", "--fail-on-regression")
    assert status == 1
    assert "1 of 1 times are more than 10 % slower" in out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "xaibench compare takes two runs or more"),
        (["a"], 2, "xaibench compare takes two runs or more"),
        (["a", "bb"], 2, "unknown run folder 'bb'; did you mean b"),
        (["a", "a"], 1, "a is given twice"),
        (["a", "."], 1, ". holds no run itself, but folders of runs: a, b"),
        (["a", "b", "--fail-on-regresion"], 2, "did you mean --fail-on-regression"),
        (["a", "b", "threshold=much"], 2, "threshold=much is no number"),
        (["a", "b", "threshold=0"], 1, "threshold is a share above 0"),
        (["a", "b", "out=a"], 1, "a holds a run; give the comparison a folder of its own"),
        (["x.json", "y.json"], 2, "unknown benchmark file 'x.json'"),
    ],
)
def test_what_does_not_fit_is_said(command, runs, words, status, message):
    found, _, err = command("compare", *words)
    assert (found, message in err) == (status, True), err
    assert "Traceback" not in err


def test_comparing_does_not_wait_for_torch(runs, tmp_path):
    words = ["compare", *map(str, runs), f"out={tmp_path / 'c'}"]
    code = f"import sys; from xaibench.cli import main; main({words!r}); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "late" in done.stdout


def early_heavy():
    """Nearly all work lies before `late`, so that a backward pass truncated there costs next to nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        heavy = [nn.Sequential(nn.Conv2d(width, 48, 3, padding=1), nn.ReLU()) for width in (3, 48, 48)]
        layers = {f"early{number}": module for number, module in enumerate(heavy)}
        layers |= {
            "shrink": nn.AvgPool2d(8),
            "late": nn.Conv2d(48, 8, 1),
            "pool": nn.AdaptiveAvgPool2d(1),
            "flat": nn.Flatten(),
        }
        made = nn.Sequential()
        for name, module in layers.items():
            made.add_module(name, module)
    return classifier(made.eval())


def timed_run(folder, monkeypatch):
    """Time the path to `late` in a real run; its report is not wanted."""
    words = [
        "model=test_compare_command:early_heavy", "layers=[late]", "data.n=2", "data.size=32", "explainer=[grad_cam]",
        "metric=[energy_in_mask]", "sanity=none", "timing=explanation_path", "timing.repeats=5", "timing.warmup=3",
        "timing.max_seconds=20", "threads=1", f"out={folder}",
    ]  # fmt: skip
    monkeypatch.setattr(experiment, "write_report", lambda folder: None)
    return experiment.run_experiment(compose_settings(words), progress=False)


def compared(tmp_path, monkeypatch, plant):
    """Compare a run with one into which something was planted; rows by phase."""
    first = timed_run(tmp_path / "first", monkeypatch)
    plant(monkeypatch)
    second = timed_run(tmp_path / "second", monkeypatch)
    comparison = compare_runs([first, second], n_resamples=99)
    assert not comparison.repeats["beyond_rounding"].any()  # the plants change no value
    return comparison, comparison.times.set_index("phase")


def plant_a_sleep(monkeypatch):
    """A hook that takes its time."""
    after = capture._Recorder._after

    def slow(self, *arguments):
        time.sleep(0.1)
        return after(self, *arguments)

    monkeypatch.setattr(capture._Recorder, "_after", slow)


def plant_a_full_backward(monkeypatch):
    """A backward pass that goes on to the image, whose gradient nobody wants."""
    prepared, gradients, followed = capture._prepared, capture._Recorder.gradients, []

    @contextmanager
    def following(model, images, layers):
        with prepared(model, images, layers) as (network, images, modules):
            followed[:] = [images.clone().requires_grad_()]
            yield network, followed[0], modules

    def full(self, scores):
        for _ in range(5):  # five of them: far more than other work on the machine can hide
            torch.autograd.grad(scores.sum(), followed, retain_graph=True)
        return gradients(self, scores)

    monkeypatch.setattr(capture, "_prepared", following)
    monkeypatch.setattr(capture._Recorder, "gradients", full)


def test_a_sleep_planted_into_the_hook_is_found(tmp_path, monkeypatch, as_in_production):
    comparison, rows = compared(tmp_path, monkeypatch, plant_a_sleep)
    assert {"forward_with_hooks", "explanation"} <= set(comparison.regressions["phase"])
    assert rows.loc["forward_with_hooks", "ratio"] > rows.loc["inference", "ratio"]
    assert "longer in second than in first, as measured by over 10 %" in comparison.answer.headline


@pytest.mark.slow
def test_a_backward_that_is_not_truncated_is_found(tmp_path, monkeypatch, as_in_production):
    _, rows = compared(tmp_path, monkeypatch, plant_a_full_backward)
    assert rows.loc["backward_to_layer", "mark"] == SLOWER
    assert rows.loc["backward_to_layer", "ratio"] > 5
