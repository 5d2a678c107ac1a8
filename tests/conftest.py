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


SMALL_RUN = (
    "model=own_models:small",
    "layers=[conv1,relu2]",
    "data.n=6",
    "data.size=32",
    "curve_steps=3",
    "shard_size=2",
    "sanity.n_images=2",
    "sanity.seeds=[0,1]",
    "sanity.granularity=module",
    "timing=none",
    "out=run",
)


@pytest.fixture
def small_run():
    """Choices that make a run of seconds."""
    return SMALL_RUN
