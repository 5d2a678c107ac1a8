"""One run with every metric of the catalogue: each has rows, a value or a reason, its cost, and a place in the report."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from own_models import SMALL_RUN

from xaibench.metrics.cards import CARDS
from xaibench.metrics.catalogue import LOCALIZATION, METRICS
from xaibench.records.run_folder import RunFolder

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parent

# sizes that fit the 32 px that the network sees; what is not named here runs with its file's settings
SMALLER = (
    "data.n=2",
    "data.size=48",
    "shard_size=2",
    "sanity=none",
    "explainer=[grad_cam,sobel]",
    "metric.region_perturbation.side_px=8",
    "metric.region_perturbation.repeats=2",
    "metric.pixel_flipping.features_in_step=512",
    "metric.incremental_deletion.n_steps=4",
    "metric.local_lipschitz.n_draws=5",
    "metric.relative_input_stability.n_draws=5",
    "metric.relative_output_stability.n_draws=5",
    "metric.sic.least_score=0.01",
    "metric.aic.least_score=0.01",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The run's folder."""
    folder = tmp_path_factory.mktemp("all_metrics")
    small = [word for word in SMALL_RUN if not word.startswith(("sanity.", "data.", "shard_size"))]
    words = [*small, f"metric=[{','.join(METRICS)}]", *SMALLER]
    program = [sys.executable, "-c", "import sys; from xaibench.cli import main; sys.exit(main())", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def rows(finished):
    records = RunFolder.open(finished).records()
    return records[records["explainer"] != ""]


@pytest.mark.parametrize("name", METRICS)
def test_every_map_has_a_row_with_a_value_or_a_reason(rows, name):
    own = rows[rows["metric"] == name]
    assert len(own) == 2 * 3  # two images; two layers of Grad-CAM, and Sobel
    defined = own["value"].notna()
    assert (defined == (own["status"] == "ok")).all()
    assert (own.loc[~defined, "reason"] != "").all()
    assert (own.loc[defined, "reason"] == "").all()
    assert own["settings"].str.contains(f'"name": ?"{name}"').all()
    if CARDS[name].cost == "none":
        assert (own["forward_passes"] == 0).all()
    else:
        assert (own.loc[defined & (own["explainer"] == "grad_cam"), "forward_passes"] > 0).all()  # Sobel asks no model
    assert name in LOCALIZATION or (own["seconds"] > 0).all()


def test_shares_asked_for_and_removed_are_recorded_and_on_the_page(rows, finished):
    own = rows[rows["metric"] == "removal_error"]
    curves = {f"{key}/{side}" for key in ("road", "road_percentile", "arcc") for side in ("morf", "lerf")}
    assert set(own["variant"]) == {*curves, "road_morf", "road_lerf"}
    exact = own[own["variant"].str.contains("road_?(?:morf|lerf|/)")]
    assert (exact["value"].abs() < 1 / 32**2).all()
    page = (finished / "report.html").read_text()
    assert 'id="table-removed_shares"' in page
    assert 'id="table-map_counts"' in page


def test_most_metrics_have_values_on_an_untrained_network(rows):
    """What has none: curves that need a confident or a changing answer."""
    defined = rows[rows["value"].notna()].groupby("metric").size()
    assert set(METRICS) - set(defined.index) <= {"flip_fraction", "sic", "aic"}


def test_the_report_has_them_all(finished, rows):
    page = (finished / "report.html").read_text()
    for name in set(rows.loc[rows["value"].notna(), "metric"]) & set(METRICS):
        assert CARDS[name].title in page or name in page
