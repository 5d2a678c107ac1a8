"""docs/conventions.md says what is computed."""

from pathlib import Path

from conventions_table import rows

PAGE = Path(__file__).parents[2] / "docs" / "conventions.md"


def test_the_page_has_the_numbers():
    stated = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line.count("|") == 5]
    stated = {(name.strip("`"), metric): (int(n), float(v)) for name, metric, n, v in stated[2:]}
    found = {(name, metric): (points, value) for name, metric, points, value in rows()}
    assert stated.keys() == found.keys()
    for key, (points, value) in found.items():
        assert stated[key][0] == points
        assert abs(stated[key][1] - value) < 1e-4
