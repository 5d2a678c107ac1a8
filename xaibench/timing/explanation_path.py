"""Settings of the timed explanation path in an experiment."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class ExplanationPath:
    """How the path is timed; see `time_explanation_path`.

    Attributes
    ----------
    n_images : int
        Images in the batch.
    repeats, warmup : int
        Timed repetitions of each phase, and at most so many runs before them, which end when all are warm.
    max_seconds : float
        No new round of repetitions begins after this time.
    """

    name: ClassVar[str] = "explanation_path"
    n_images: int = 8
    repeats: int = 20
    warmup: int = 10
    max_seconds: float = 15.0

    def __post_init__(self) -> None:
        for key in ("n_images", "repeats"):
            if getattr(self, key) < 1:
                raise ValueError(f"timing.{key} must be at least 1; got {getattr(self, key)}")
