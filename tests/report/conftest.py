"""One made-up run with its whole report, shared by the tests that read pages; quick statistics."""

from functools import partial

import pytest
from synthetic_run import synthetic_run

from xaibench.report import redraw
from xaibench.report.tables import make_tables


@pytest.fixture(scope="session")
def reported_run(tmp_path_factory, few_resamples):
    """A run folder of five images with tables, figures and page."""
    folder = synthetic_run(tmp_path_factory.mktemp("reported") / "run", n_images=5)
    redraw.write_report(folder)
    return folder


@pytest.fixture(autouse=True, scope="session")
def few_resamples():
    """Bootstraps of a redrawn report are short here: pages are tested, not statistics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redraw, "make_tables", partial(make_tables, n_resamples=200))
        yield
