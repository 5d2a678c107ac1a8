import sys
from pathlib import Path

import jaxtyping
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # own_models:small, as a user's own module beside the current folder


@pytest.fixture
def as_in_production():
    """Shapes and literals unchecked, so that a test meets our own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def command(as_in_production, tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder; gives exit status, standard output and standard error."""
    from xaibench.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*words):
        status = main(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def small_run():
    """Choices that make a run of seconds."""
    from own_models import SMALL_RUN

    return SMALL_RUN
