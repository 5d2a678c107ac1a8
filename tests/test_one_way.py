"""Knowledge flows one way: what docs/architecture.md says of the rooms, read from their import statements."""

import ast
from pathlib import Path

import pytest

import xaibench

PACKAGE = Path(xaibench.__file__).parent
WITHOUT_TORCH = (
    "data",
    "records",
    "statistics",
    "report",
    "settings.py",
    "composition.py",
    "cli.py",
    "names.py",
    "metrics/cards",
)
BELOW = {  # room: those it may not know
    "explainers": ("shards", "records", "statistics", "report", "execution", "experiment", "metrics"),
    "metrics": ("shards", "records", "report", "execution", "experiment"),
    "timing": ("shards", "records", "report", "execution", "experiment"),
    "records": ("shards", "explainers", "timing", "statistics", "report", "execution", "experiment"),
    "statistics": ("shards", "explainers", "metrics", "timing", "records", "report", "execution", "experiment"),
    "report": ("shards", "explainers", "models", "execution", "experiment", "workbench"),
}
QUESTIONS = ("report.sanity", "report.trust", "report.evaluator", "report.cost")
WITHIN_THE_REPORT = {
    **dict.fromkeys(QUESTIONS, ("report.figures", "report.page", "report.compare", "report.redraw")),
    "report.figures": ("report.page", "report.compare", "report.redraw"),
    "report.page": ("report.compare", "report.redraw"),
    "report.compare": ("report.redraw",),
}


def modules(room):
    place = PACKAGE / room.replace(".", "/") if not room.endswith(".py") else PACKAGE / room
    found = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert found, f"{room} is gone"
    return found


def imported(module):
    """Full names that a module imports, wherever in it the statement stands."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(room, forbidden):
    return [
        f"{module.relative_to(PACKAGE)} imports {name}"
        for module in modules(room)
        for name in imported(module)
        if any(name == other or name.startswith(f"{other}.") for other in forbidden)
    ]


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_rooms_without_torch(room):
    assert offenders(room, ("torch", "torchvision")) == []


@pytest.mark.parametrize(("room", "above"), [*BELOW.items(), *WITHIN_THE_REPORT.items()])
def test_no_room_knows_one_above_it(room, above):
    assert offenders(room, [f"xaibench.{other}" for other in above]) == []


def test_an_import_against_the_stream_is_seen(tmp_path, monkeypatch):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "bad.py").write_text("def late():\n    from xaibench.report import redraw\n")
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    assert offenders("records", ("xaibench.report",))
