"""Whole runs that end once the question is settled."""

import json
from types import SimpleNamespace

import pytest

from xaibench.records.run_folder import RunFolder, values_digest

# every pair of maps is within 0.4 by insertion, which a few images show
QUICK = ("metric=[insertion]", "sanity=none", "explainer=[grad_cam,sobel]", "data.n=40", "shard_size=4")
STOPS = (*QUICK, "stop_when=settled", "stop.margin=0.4")


@pytest.fixture
def words(small_run):
    return [word for word in small_run if not word.startswith(("sanity.", "data.n", "shard_size"))]


@pytest.fixture
def unreported(monkeypatch):
    """Runs without their report, which is the longest part of so small a run."""
    monkeypatch.setattr("xaibench.experiment.write_report", lambda folder: SimpleNamespace(tables=None, page=""))
    monkeypatch.setattr("xaibench.experiment.print_report", lambda *_, **__: None)


def _shards(folder):
    return sorted(file.stem for file in (folder / "records").iterdir())


def test_a_settled_run_leaves_out_the_rest_of_the_images(command, words, tmp_path):
    timing = ["timing=explanation_path", "timing.max_seconds=0.2"]
    status, printed, err = command(*[w for w in words if w != "timing=none"], *STOPS, *timing)
    assert status == 0, err
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    told = run["stopping"]
    assert told["stopped_early"] is True
    assert (told["metric"], told["alpha"], told["margin"]) == ("insertion", 0.05, 0.4)
    n_shards = told["images"] // 4
    assert 8 <= told["images"] < 40
    # what else there is to do is done
    assert _shards(tmp_path / "run") == [f"scores-{i:04d}" for i in range(n_shards)] + ["timing-0000"]
    records = RunFolder.open(tmp_path / "run").records()
    images = records.loc[records["metric"] == "image", "image"]
    assert len(images) == told["images"]
    assert images.tolist() != sorted(images)  # in random order
    passes = records.loc[records["shard"].str.startswith("scores"), "forward_passes"].sum()
    assert told["forward_passes_saved"] == round(passes / told["images"] * (40 - told["images"]))
    assert f"The run stopped after {told['images']} of 40 images, as insertion was settled" in printed
    page = (tmp_path / "run" / "report.html").read_text()
    assert "look surer than they are" in page
    assert (tmp_path / "run" / "figures" / "stopping.svg").exists()


def test_a_run_that_is_not_settled_uses_every_image(command, words, tmp_path, unreported):
    quick = [word for word in QUICK if word != "data.n=40"]
    status, _, err = command(*words, *quick, "data.n=8", "stop_when=settled")
    assert status == 0, err
    told = json.loads((tmp_path / "run" / "run.json").read_text())["stopping"]
    assert (told["settled"], told["stopped_early"], told["images_saved"]) == (False, False, 0)
    assert _shards(tmp_path / "run") == ["scores-0000", "scores-0001"]
    images = RunFolder.open(tmp_path / "run").records().query("metric == 'image'")["image"]
    assert sorted(images) == [f"single-1-{i:06d}" for i in range(8)]


def test_without_stop_when_nothing_changes(command, words, tmp_path, unreported):
    quick = [word for word in QUICK if word != "data.n=40"]
    status, _, err = command(*words, *quick, "data.n=8", "stop.margin=0.4")
    assert status == 0, err
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "stopping" not in run
    assert not {"stop", "stop_when"} & set(run["settings"])  # the identity of a run from before there was a rule
    images = RunFolder.open(tmp_path / "run").records().query("metric == 'image'")["image"]
    assert images.tolist() == sorted(images)


def test_a_killed_and_resumed_run_stops_where_an_undisturbed_one_does(
    command, words, tmp_path, unreported, monkeypatch
):
    assert command(*words, *STOPS)[0] == 0
    whole = RunFolder.open(tmp_path / "run")

    class Killed(BaseException):
        pass

    write, written = RunFolder.write, []

    def die_after_two(self, shard, records, maps):
        if len(written) == 2:
            raise Killed
        written.append(shard)
        write(self, shard, records, maps)

    resumed_words = [word for word in words if word != "out=run"]
    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "write", die_after_two)
        with pytest.raises(Killed):
            command(*resumed_words, *STOPS, "out=killed")
    assert len(_shards(tmp_path / "killed")) == 2
    assert command(*resumed_words, *STOPS, "out=killed")[0] == 0
    killed = RunFolder.open(tmp_path / "killed")
    assert _shards(killed.path) == _shards(whole.path)
    assert values_digest(killed.records()) == values_digest(whole.records())
    assert killed.run["stopping"] == whole.run["stopping"]
    times = [file.stat().st_mtime_ns for file in sorted((killed.path / "records").iterdir())]
    assert command(*resumed_words, *STOPS, "out=killed")[0] == 0
    assert [file.stat().st_mtime_ns for file in sorted((killed.path / "records").iterdir())] == times


def test_another_question_is_another_run(command, words, tmp_path, unreported):
    assert command(*words, *STOPS)[0] == 0
    status, _, err = command(*words, *STOPS, "stop.alpha=0.01")
    assert status == 1
    assert "stop.alpha: 0.05 → 0.01" in err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["stop_when=setled"], "did you mean settled"),
        (
            ["stop.metric=pointing_game"],
            "unknown metric in stop.metric, which must be one of the run's 'pointing_game'",
        ),
        (["stop.alpha=2"], "stop.alpha is the chance of a false answer"),
        (["stop.margin=1.5"], "stop.margin is a difference by insertion, between 0 and 1"),
        (["metric.insertion.score=logit"], "stop.metric=insertion reads logit"),
        (["metric=[infidelity]", "stop.metric=infidelity"], "stop.metric=infidelity has no fixed range"),
        (["layers=[relu2]"], "needs two at least; this run has 1"),
        (["stop.alhpa=0.1"], "unknown key 'stop.alhpa'; did you mean stop.alpha"),
    ],
)
def test_a_wrong_question_is_told_before_work_starts(command, words, tmp_path, wrong, told):
    status, _, err = command(*words, *QUICK, "stop_when=settled", *wrong)
    assert status in (1, 2)
    assert told in err
    assert not (tmp_path / "run").exists()
