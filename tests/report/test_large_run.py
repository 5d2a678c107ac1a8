"""The made-up large run is one that the report reads, at a size that takes no time."""

import numpy as np
from large_run import ARMS, CURVES, N_POINTS, SHARD_SIZE, SHARES, SIDES, YES_OR_NO, large_run

from xaibench.records.run_folder import RunFolder


def test_has_every_metric_of_every_arm_and_image(tmp_path):
    run = RunFolder.open(large_run(tmp_path / "run", n_images=6))
    records, maps = run.records(), run.maps()
    assert records["shard"].nunique() == -(-6 // SHARD_SIZE)
    counts = records[records["explainer"] != ""].groupby("metric").size()
    assert set(counts.index) == {*CURVES, *SHARES, *YES_OR_NO, "tied_fraction"}
    assert (counts == 6 * len(ARMS)).all()
    assert len(CURVES + SHARES + YES_OR_NO) == 12
    first = records[records["metric"] == "deletion"].iloc[0]
    assert len(first["curve_y"]) == N_POINTS
    np.testing.assert_allclose(np.trapezoid(first["curve_y"], first["curve_x"]), first["value"])
    assert maps["map/grad_cam/layer4.0/single-00005"].shape == (SIDES[-1], SIDES[-1])
    assert len(maps) == 6 * (2 + len(ARMS))
