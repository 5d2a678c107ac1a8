"""A run of the timing grid, of seconds: what is stored, that it goes on after a stop, and what the report makes of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from xaibench.composition import compose_settings
from xaibench.experiment import _inference, plan, run_experiment
from xaibench.metrics.memory_limits import OutOfMemory
from xaibench.records.run_folder import RunFolder
from xaibench.shards import explained, precision, within_memory
from xaibench.shards.within_memory import WithinMemory
from xaibench.timing.grid import FACTORS
from xaibench.timing.vocabulary import EXPLANATION, EXPLANATION_PATH, INFERENCE, PHASES
from xaibench.workbench import set_up

GRID = (
    "experiment=timing",
    "model=own_models:small",
    "~model.weights",
    "layers=[conv1,relu2]",
    "data.n=3",
    "data.size=32",
    "timing.n_layers=2",
    "timing.repeats=2",
    "timing.warmup=1",
    "timing.max_seconds=20",
    "timing.sweep.batch_size=[2,4]",
    "timing.sweep.dtype=[float64,float32,float16]",
    "timing.sweep.memory_format=contiguous",
    *(
        f"timing.sweep.{name}=null"
        for name in ("n_layers", "method", "image_size", "compiled", "cuda_graph", "threads")
    ),
    "timing.precision_steps=2",
    "out=run",
)


@pytest.fixture
def quick(as_in_production, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return compose_settings(list(GRID))


def told(records):
    return records["settings"].map(json.loads)


def test_a_grid_run_from_start_to_page(quick, tmp_path, monkeypatch):
    shards = plan(set_up(quick))
    names = [shard.name for shard in shards if not shard.name.startswith("scores")]
    assert names == ["path-0000", "timing-0000", "timing-0001", "timing-0002", "timing-0003", "precision-0000"]

    done = []
    stop_after = shards[-2].name
    write = RunFolder.write

    def killed(self, shard, records, maps):
        if shard == stop_after:
            raise KeyboardInterrupt
        done.append(shard)
        write(self, shard, records, maps)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(quick, progress=False)
    before = RunFolder.open(tmp_path / "run").records()
    run_experiment(quick, progress=False)
    records = RunFolder.open(tmp_path / "run").records()
    kept = records[records["shard"].isin(done)].reset_index(drop=True)
    assert kept.drop(columns=["curve_x", "curve_y"]).equals(before.drop(columns=["curve_x", "curve_y"]))

    _check_path(records[records["shard"] == "path-0000"])
    _check_timings(records[records["shard"].str.startswith("timing")])
    _check_precision(records[records["shard"] == "precision-0000"])
    _check_report(tmp_path / "run")


def _check_path(rows):
    """The base cell, with every phase, under its own conditions."""
    times = rows[rows["metric"] == "milliseconds"]
    assert set(times["variant"]) == set(PHASES)
    assert set(times["layer"]) == {"", "conv1", "relu2", "conv1+relu2"}
    settings = told(times)
    assert {tuple(one["images"]) for one in settings} == {(2, 3, 32, 32)}
    assert {one["weights_memory_format"] for one in settings} == {"channels_last"}
    assert not any("sweep" in one for one in settings)
    assert {"gflop", "percent_of_peak", "peak_memory_mib", "phases_to_whole"} <= set(rows["metric"])


def _check_timings(rows):
    machine = rows["metric"].isin(["processor_mhz", "gpu_mhz", "load_average"])
    looks = rows[machine & (rows["metric"] == "load_average")]
    assert looks.groupby("shard")["variant"].agg(list).tolist() == [["before", "after"]] * 4
    rows = rows[~machine]
    settings = told(rows)
    assert all(set(FACTORS) - {"layer"} <= set(one) for one in settings)
    assert list(dict.fromkeys(one["sweep"] for one in settings)) == ["layer", "batch_size", "dtype", "memory_format"]
    assert {one["threads"] for one in settings} == {torch.get_num_threads()}
    times = rows.assign(
        **{
            name: [one[name] for one in settings]
            for name in ("sweep", "batch_size", "image_size", "base", "layers", "dtype")
        }
    )
    times = times[times["metric"] == "milliseconds"]
    alone = times[(times["sweep"] == "layer") & ~times["base"]]
    assert set(zip(alone["layer"], alone["variant"], strict=True)) == {
        (layer, phase) for layer in ("conv1", "relu2") for phase in EXPLANATION_PATH
    }
    batches = times[times["sweep"] == "batch_size"]
    assert set(batches.loc[batches["variant"] == INFERENCE, "batch_size"]) == {2, 4}
    assert set(times["image_size"]) == {32}
    # twice, or once where the machine was so busy that a run was taken for a slow one
    assert times.loc[times["status"] == "ok", "curve_y"].map(len).isin([1, 2]).all()
    (refused,) = times[times["status"] != "ok"].to_dict("records")
    assert (refused["status"], refused["variant"], refused["dtype"]) == ("undefined", EXPLANATION, "float16")
    assert refused["reason"] == "float16 needs a CUDA device; this one is cpu"


def _check_precision(rows):
    fine = rows[rows["status"] == "ok"]
    for metric, dtype, expected in (
        ("map_relative_error", "float64", 0.0),
        ("map_relative_error", "float32", 1e-6),
        ("map_rank_correlation", "float64", 1.0),
    ):
        own = fine[(fine["metric"] == metric) & (fine["variant"] == dtype)]
        assert len(own) == 2 * 2  # images, layers
        np.testing.assert_allclose(own["value"], expected, rtol=0, atol=1e-12 if dtype == "float64" else 2e-6)
    assert (fine.loc[fine["variant"] == "float32", "value"] > 0).any()
    scores = fine[fine["metric"] == "score_error"]
    names = {variant for variant in scores["variant"] if variant.startswith("float32")}
    assert names == {
        f"float32 {score}"
        for score in ("logit", "probability", "log_probability", "margin", "sigmoid", "deletion", "insertion")
    }
    assert scores.loc[scores["variant"].str.startswith("float64"), "value"].eq(0).all()
    assert rows.loc[rows["status"] != "ok", "variant"].tolist() == ["float16"]


def _check_report(folder):
    for table in ("timing_grid", "precision_maps", "precision_scores", "timing"):
        assert (folder / "tables" / f"{table}.csv").is_file()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "float16 needs a CUDA device; this one is cpu" in page
    assert page.count("data:image/svg+xml;base64,") == 2  # growth with the batch, and precision
    assert {"scaling.png", "precision.png", "cost.png", "roofline.png"} <= {
        file.name for file in (folder / "figures").iterdir()
    }


@pytest.mark.parametrize(
    ("words", "first"), [([], "path-0000"), (["timing.compiled=true", "timing.threads=1"], "timing-0000")]
)
def test_a_base_that_lets_no_hooks_in_has_sweeps_alone(words, first, as_in_production, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shards = plan(set_up(compose_settings([*GRID, *words])))
    assert next(shard.name for shard in shards if not shard.name.startswith("scores")) == first


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["timing.dtype=float16"], "base of the grid cannot be timed: float16 needs a CUDA device"),
        (["timing.cuda_graph=true"], "base of the grid cannot be timed: a CUDA graph needs a CUDA device"),
        (["timing.threads=9999"], "9999 threads on"),
        (["timing.n_layers=3"], "the run names 2 layers"),
        (["timing.batch_size=0"], "timing.batch_size must be a whole number"),
        (["timing.name=gird"], "did you mean grid"),
    ],
)
def test_what_the_user_fixed_is_refused_before_anything_is_written(
    words, match, as_in_production, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=match):
        run_experiment(compose_settings([*GRID, *words]), progress=False)
    assert not (tmp_path / "run").exists()


def test_scores_that_do_not_fit_the_memory(quick, monkeypatch):
    bench, sizes = set_up(quick), []

    def hungry(bench, indices):
        sizes.append(bench.batch_size)
        if bench.batch_size > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return ["rows"], {}

    monkeypatch.setattr(within_memory, "score_images", hungry)
    with pytest.raises(
        OutOfMemory, match=r"memory ran out with batch_size=64 .*; use batch_size=32, or batch_size=auto"
    ):
        WithinMemory(bench).score([0])
    bench.settings.batch_size = "auto"
    scoring = WithinMemory(replace(bench, batch_size=64))
    assert scoring.score([0]) == (["rows"], {})
    assert sizes == [64, 64, 32, 16]
    assert scoring.score([1]) == (["rows"], {})
    assert sizes[4:] == [16]  # the next shard does not run out again
    assert _inference(scoring.bench)["batch_size"] == 16


def capturing_at_most(limit, monkeypatch):
    """Captures of more images than `limit` run out of memory; returns how many each of the others was asked for."""
    whole, sizes = explained.capture, []

    def capture(model, images, *args, **options):
        if len(images) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(images))
        return whole(model, images, *args, **options)

    monkeypatch.setattr(explained, "capture", capture)
    return sizes


def test_explanations_that_do_not_fit_the_memory(quick, monkeypatch):
    quick.shard_size = 3
    bench = set_up(quick)
    rows, maps = WithinMemory(bench).score(range(3))
    sizes = capturing_at_most(1, monkeypatch)
    with pytest.raises(OutOfMemory, match=r"memory ran out with shard_size=3 .*; use shard_size=1, or batch_size=auto"):
        WithinMemory(bench).score(range(3))
    bench.settings.batch_size = "auto"
    scoring = WithinMemory(replace(bench, batch_size=4))
    split_rows, split_maps = scoring.score(range(3))
    assert scoring.bench.batch_size == 1
    assert set(sizes) == {1}
    assert [(row.metric, row.image) for row in split_rows] == [(row.metric, row.image) for row in rows]
    assert maps.keys() == split_maps.keys()
    for name, values in maps.items():
        np.testing.assert_allclose(split_maps[name], values, rtol=1e-4, atol=1e-5)


def test_where_float64_does_not_fit_the_memory_fewer_images_are_compared(quick, monkeypatch):
    whole, sizes = precision.explained, []

    def hungry(network, images, *args):
        sizes.append((images.dtype, len(images)))
        if images.dtype == torch.float64 and len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(network, images, *args)

    monkeypatch.setattr(precision, "explained", hungry)
    bench = set_up(quick)
    cells = bench.timing.sweeps(bench.layers, image_size=32, threads=1)["dtype"]
    rows, _ = precision.precision_rows(bench, bench.timing, cells)
    assert sizes[:2] == [(torch.float64, 2), (torch.float64, 1)]
    assert len({row.image for row in rows if row.status == "ok"}) == 1
    assert {row.variant for row in rows if row.metric == "map_relative_error" and row.status == "ok"} == {
        "float32",
        "float64",
    }
