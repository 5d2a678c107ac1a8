import jaxtyping
import pytest


@pytest.fixture
def as_in_production():
    """Shapes and literals unchecked, so that a test meets our own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
