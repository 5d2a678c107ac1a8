import re
from pathlib import Path

from xaibench.metrics.catalogue import METRICS
from xaibench.metrics.presets import PRESETS

PAGE = (Path(__file__).parents[2] / "docs" / "faithfulness.md").read_text()
CODE = re.findall(r"`([^`]+)`", PAGE)


def test_every_metric_is_in_one_family():
    families = PAGE[PAGE.index("## The families") : PAGE.index("No single metric")]
    cells = re.findall(r"^\| (`[^|]*) \|", families, re.MULTILINE)
    sentences = [paragraph for paragraph in families.split("\n\n") if paragraph.startswith("**")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(cells + sentences))) == sorted(METRICS)


def test_what_looks_like_a_choice_is_one():
    for choice in [word for word in CODE if word.startswith("metric=[")]:
        for name in choice.removeprefix("metric=[").rstrip("]").split(","):
            assert name in METRICS or name.removeprefix("preset/") in PRESETS
