"""The evaluator-sensitivity experiment: every metric varies one choice, and a small run of two says what it moves."""

import json
from collections import Counter

import pandas as pd
import torch

from xaibench.composition import compose_settings
from xaibench.leaves import metric_of, needs_run
from xaibench.metrics.baselines import AnotherImage, Black, DatasetMean
from xaibench.report.evaluator.choices import find_variations
from xaibench.shards.scores import settings_of

STAND_INS = {
    "black": Black((0.5,), (0.2,)),
    "dataset_mean": DatasetMean((0.1,)),
    "another_image": AnotherImage(("a", "b"), (torch.zeros(1, 2, 2), torch.ones(1, 2, 2))),
}


def test_every_metric_of_the_experiment_varies_one_choice():
    leaves = compose_settings(["experiment=evaluator_sensitivity"]).metric
    settings = {}
    for key, leaf in leaves.items():
        made = metric_of(key, {**leaf, "baseline": STAND_INS[leaf["baseline"]]} if needs_run(leaf) else leaf)
        settings[key] = json.loads(settings_of(made, resize="bilinear"))
    groups = find_variations(settings)
    assert [len(group) for group in groups] == [len(leaves)]
    assert groups[0][0].metric == "deletion"
    choices = Counter(one.choice for one in groups[0])
    assert choices == {"": 1, "baseline": 8, "score": 2, "steps": 3, "ties": 6, "rectify": 1, "direction": 1}
    assert Counter(one.against for one in groups[0]) == {"": 1, "deletion": 18, "deletion_rectify": 3}
    brief = [one.value for one in groups[0] if one.choice == "baseline"]
    assert brief[:4] == ["Black", "Mean", "DatasetMean", "Blur"]


def test_a_small_run_of_two_variations(command, small_run, tmp_path):
    words = [word for word in small_run if not word.startswith(("sanity.", "data.n="))]
    blur = "+metric.soft={name:deletion,n_steps:3,baseline:blur}"
    logit = "+metric.late={name:deletion,n_steps:3,score:logit}"
    status, out, err = command(
        *words, blur, logit, "data.n=3", "sanity=none", "metric=[deletion]", "explainer=[grad_cam,sobel]"
    )
    assert status == 0, err
    assert "moves" in out or "turns over" in out
    table = pd.read_csv(tmp_path / "run" / "tables" / "evaluator_sensitivity.csv", keep_default_na=False)
    recorded = table[~table["recomputed"]]
    assert dict(zip(recorded["metric"], recorded["choice"], strict=True)) == {
        "deletion": "", "soft": "baseline", "late": "score",
    }  # fmt: skip
    areas = table[table["recomputed"]]
    assert len(areas) == 6
    assert (areas["tau"].astype(float) == 1).all()  # all curves of an image have its two ends
    assert set(table["n_images"]) == {3}
    assert (tmp_path / "run" / "figures" / "evaluator_sensitivity.png").exists()
