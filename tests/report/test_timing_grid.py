import numpy as np
import pandas as pd
import pytest
from grid_records import BASE, PHASE_MS, SPREAD, cell_rows, grid_records
from matplotlib.figure import Figure
from synthetic_records import as_frame, synthetic_records

from xaibench.records.record import Record
from xaibench.report.cost.grid import grid_cells, timing_grid, without_grid
from xaibench.report.cost.precision import precision_maps, precision_scores, speed_ups
from xaibench.report.cost.tables import path_milliseconds, timing
from xaibench.report.figures.precision import precision_figure
from xaibench.report.figures.scaling import drawn_phases, plot_scaling, scaling_figure, scaling_sweeps
from xaibench.report.page.scaling_view import scaling_view
from xaibench.report.summaries import phase_costs
from xaibench.timing.vocabulary import EXPLANATION_PATH

WHOLE_MS = sum(PHASE_MS.values())


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return grid_records()


@pytest.fixture(scope="module")
def table(records) -> pd.DataFrame:
    return timing_grid(records)


def row(table, sweep, level):
    (found,) = table[(table["sweep"] == sweep) & (table["level"] == level)].to_dict("records")
    return found


def test_a_row_holds_the_medians_of_its_cell_s_repetitions(table):
    found = row(table, "batch_size", "1")
    whole = 1.6 * WHOLE_MS * np.array(SPREAD)
    assert found["explanation"] == pytest.approx(np.median(whole))
    assert (found["q25"], found["q75"]) == pytest.approx(tuple(np.quantile(whole, [0.25, 0.75])))
    assert [found[phase] for phase in EXPLANATION_PATH] == pytest.approx([1.6 * ms for ms in PHASE_MS.values()])
    assert (found["inference"], found["repetitions"], found["batch_size"]) == (16.0, 3, 1)
    assert found["ratio_to_inference"] == pytest.approx(WHOLE_MS / 10)
    assert found["ratio_to_base"] == pytest.approx(1.6)
    assert found["peak_memory_mib"] == 160 + max(map(len, EXPLANATION_PATH))


def test_tails_of_a_cell_are_counted():
    frame = as_frame(cell_rows("threads", inference=False))
    times = [
        (10.0, 10.0, 11.0, 11.0, 90.0) if phase == "forward_with_hooks" else (0.0,) * 5 for phase in frame["variant"]
    ]
    frame["curve_y"] = pd.Series(times)
    (found,) = timing_grid(frame).to_dict("records")
    assert (found["outliers"], found["repetitions"]) == (1, 5)
    assert found["p95"] == pytest.approx(11.0 + 0.8 * 79.0)  # four fifths of the way from the fourth to the fifth


def test_the_whole_is_summed_within_a_repetition():
    rows = cell_rows("threads")
    times = {"forward_with_hooks": (1.0, 9.0, 1.0), "backward_to_layer": (9.0, 1.0, 2.0)}
    frame = as_frame(rows)
    for phase in EXPLANATION_PATH:
        frame.loc[(frame["variant"] == phase) & (frame["metric"] == "milliseconds"), "curve_y"] = pd.Series(
            [times.get(phase, (0.0, 0.0, 0.0))] * len(frame)
        )
    assert grid_cells(frame)[0].explanation.tolist() == [10.0, 10.0, 3.0]  # whose median is no sum of medians


def test_levels_ascend_and_words_keep_their_places(table):
    levels = {sweep: own["level"].tolist() for sweep, own in table.groupby("sweep", sort=False)}
    assert levels == {
        "layer": ["a+b+c+d", "a", "d"],
        "batch_size": ["1", "4", "8"],
        "compiled": ["no", "yes"],
        "dtype": ["float32", "bfloat16", "float16"],
    }


def test_a_batch_that_was_halved_is_not_mixed_with_the_one_that_asked_for_this_size():
    asked = cell_rows("batch_size", batch_size=2, batch_size_asked=2)
    halved = cell_rows("batch_size", times=3.0, batch_size=2, batch_size_asked=8)
    found = timing_grid(as_frame([*asked, *halved]))
    assert found["explanation"].tolist() == pytest.approx([WHOLE_MS, 3 * WHOLE_MS])
    assert found["inference"].tolist() == pytest.approx([10.0, 30.0])


def test_plain_inference_is_shared_by_cells_that_differ_in_layers_only(table):
    assert row(table, "layer", "d")["inference"] == 10.0
    assert row(table, "layer", "d")["ratio_to_inference"] == pytest.approx(WHOLE_MS / 2 / 10)


def test_what_could_not_be_timed_says_why_and_has_no_number(table):
    refused = row(table, "dtype", "float16")
    assert (refused["status"], refused["reason"]) == ("undefined", "float16 needs a CUDA device")
    assert all(np.isnan(refused[name]) for name in ("explanation", "inference", "ratio_to_base", "peak_memory_mib"))
    compiled = row(table, "compiled", "yes")
    assert (compiled["status"], compiled["reason"]) == ("undefined", "no hooks inside")
    assert np.isnan(compiled["explanation"])
    assert compiled["ratio_to_base"] == pytest.approx(0.7)  # of plain inference


def test_a_doubt_about_a_phase_that_does_not_matter_is_not_said_of_the_whole(table):
    assert set(table.loc[table["status"] == "ok", "reason"]) == {""}
    frame = as_frame(cell_rows("threads"))
    frame.loc[frame["variant"] == "reduce", "reason"] = "max_seconds left time for 3 of 9 repetitions; too short"
    assert timing_grid(frame)["reason"].tolist() == ["max_seconds left time for 3 of 9 repetitions; too short"]


def test_a_crossed_sweep_names_both_levels():
    rows = cell_rows("batch_size x threads") + cell_rows("batch_size x threads", batch_size=8, threads=1, times=2.0)
    assert timing_grid(as_frame(rows))["level"].tolist() == ["batch_size 4, threads 2", "batch_size 8, threads 1"]


def test_tables_of_one_path_see_every_layer_alone_and_no_other_cell(records):
    kept = without_grid(records)
    costs = phase_costs(records)
    assert list(costs.index) == ["a+b+c+d", "", "a", "d"]
    assert costs.loc["a+b+c+d", "forward_with_hooks"] == 10.0  # and no mixture with other batches
    assert timing(kept)["layer"].unique().tolist() == timing(without_grid(kept))["layer"].unique().tolist()
    plain = synthetic_records(3)
    assert without_grid(plain).equals(plain)


def test_the_base_s_whole_path_adds_what_the_sweep_over_layers_lacks(records):
    times = {("", "full_backward"): 18.0, ("", "inference"): 11.0}
    times |= {("d", phase): 2.0 * ms for phase, ms in (PHASE_MS | {"explanation": 20.0}).items()}
    path = [
        Record("milliseconds", ms, layer=layer, variant=phase, settings='{"threads": 2}', curve_y=(ms,))
        for (layer, phase), ms in times.items()
    ]
    both = pd.concat([as_frame(path), records], ignore_index=True)
    costs = phase_costs(both)
    assert list(costs.index) == ["a+b+c+d", "", "a", "d"]
    assert costs["forward_with_hooks"].dropna().tolist() == [10.0, 9.0, 5.0]  # of layers that took turns
    assert (costs.loc["", "inference"], costs.loc["", "full_backward"]) == (10.0, 18.0)
    found = timing(without_grid(both))
    counts = found.set_index(["layer", "phase"])["repetitions"]
    assert (counts["d", "explanation"], counts["d", "reduce"], counts["a", "reduce"]) == (1, 3, 3)  # none are mixed
    # nor is one layer's cost of one measurement held against another's of the other
    assert path_milliseconds(found) == pytest.approx({"a+b+c+d": WHOLE_MS, "a": 0.9 * WHOLE_MS, "d": 0.5 * WHOLE_MS})
    assert len(grid_cells(both)) == len(grid_cells(records))


def test_a_run_without_a_grid_has_none():
    plain = synthetic_records(3)
    assert grid_cells(plain) == []
    assert timing_grid(plain).empty
    assert precision_maps(plain).empty
    assert precision_scores(plain).empty
    assert scaling_view(plain, grid={}) is None
    assert scaling_figure([]) is None


# ── precision ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_errors_of_maps_with_their_worst_and_undefined_ones(records):
    table = precision_maps(records).set_index(["dtype", "layer"])
    deep, shallow = table.loc[("bfloat16", "d")], table.loc[("bfloat16", "a")]
    assert (shallow["relative_error"], shallow["largest_error"]) == (2.5e-2, 4e-2)
    assert (shallow["rank_correlation"], shallow["lowest_correlation"]) == (0.975, 0.96)
    assert (deep["relative_error"], deep["undefined"], deep["images"]) == (2e-3, 1, 2)
    assert (deep["explanation_speed_up"], deep["inference_speed_up"]) == pytest.approx((4.0, 4.0))
    refused = table.loc[("float16", "")]
    assert (refused["status"], refused["reason"]) == ("undefined", "no CUDA")
    assert np.isnan(refused["explanation_speed_up"])
    assert speed_ups(records)["float32"] == (1.0, 1.0)


def test_errors_of_scores(records):
    table = precision_scores(records).set_index("dtype")
    assert table.loc["bfloat16", ["score", "values", "error", "largest_error"]].tolist() == ["logit", 2, 3e-3, 5e-3]


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lines_of_the_scaling_picture(records):
    sweeps = scaling_sweeps(grid_cells(records))
    assert list(sweeps) == ["batch_size"]  # compiled and dtype are no sizes, one level is no line
    cells = sweeps["batch_size"]
    phases = drawn_phases(cells)
    assert phases == list(EXPLANATION_PATH[:-1])  # copying takes a millionth of the whole
    axes = plot_scaling(Figure().subplots(), cells, "batch_size", phases=phases)
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["explanation, in all"].get_xdata().tolist() == [1, 4, 8]
    assert lines["explanation, in all"].get_ydata() == pytest.approx([times * WHOLE_MS for times in (1.6, 1.0, 0.8)])
    assert lines["plain inference"].get_ydata() == pytest.approx([16, 10, 8])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert list(axes.get_xticks()) == [1, 4, 8]


def test_points_of_the_precision_picture(records):
    figure = precision_figure(precision_maps(records), precision_scores(records), device="cpu (x)")
    left = figure.axes[0]
    points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in left.lines if len(line.get_xdata()) == 1}
    assert points == {(1.0, 1e-7), (4.0, 2.5e-2), (4.0, 2e-3)}
    assert {text.get_text() for text in left.texts} == {"float32", "bfloat16"}
    assert left.get_xlim()[0] <= 0.5
    assert left.get_xlim()[1] >= 4.0
    assert precision_figure(precision_maps(records)[:0], precision_scores(records)[:0]) is None
    assert precision_figure(None, None) is None


def test_the_page_s_part_has_pictures_and_what_is_missing(records):
    grid = {"precision_maps": precision_maps(records), "precision_scores": precision_scores(records)}
    view = scaling_view(records, grid=grid, device="cpu")
    assert [drawing.title for drawing in view.drawings] == ["How the cost grows", "Less precision and its price"]
    assert all(drawing.source.startswith("data:image/svg+xml;base64,") for drawing in view.drawings)
    assert view.missing == [("compiled yes", "no hooks inside"), ("dtype float16", "float16 needs a CUDA device")]
    assert view == scaling_view(records, grid=grid, device="cpu")  # the same records, the same bytes


def test_base_conditions_stand_in_the_cells(records):
    base = [cell for cell in grid_cells(records) if cell.base]
    assert {cell.sweep for cell in base} == {"layer", "batch_size", "compiled", "dtype"}
    assert all(cell.factors == BASE for cell in base)
