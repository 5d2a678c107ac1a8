"""The recipe: everything that decides the trained weights, as data."""

import math
from dataclasses import dataclass, replace

from xaibench.data.shapes import Shapes


@dataclass(frozen=True)
class Phase:
    """Rounds of training on one kind of view of the images.

    Attributes
    ----------
    size_px : int
        Side of the views that the network sees.
    rounds : int
        A round ends with validation and a checkpoint.
    window : (float, float)
        Side of the square window that becomes the view, in sides of the object's box; drawn uniformly. A window is never
        larger than the image, so that large numbers mean whole images.
    texture : (float, float)
        Share of the textures at the beginning and at the end of the phase: 0 paints object and surroundings in their
        mean colours, 1 leaves the image as it is.
    """

    size_px: int
    rounds: int
    window: tuple[float, float] = (8.0, 8.0)
    texture: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Cycle:
    """One rise and fall of the learning rate.

    Attributes
    ----------
    rounds : int
        After so many the next cycle begins.
    learning_rate : float
        The highest: it rises linearly over `Recipe.warmup_fraction` of the horizon and falls along a cosine.
    horizon : int
        Rounds at whose end it would be zero; more than `rounds` ends the cycle early.
    """

    rounds: int
    learning_rate: float
    horizon: int


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the trained weights.

    On whole textured images the loss stays at chance for tens of thousands of images. So training begins close to the
    object and without textures, brings the textures in, then widens the window to the whole image.

    Attributes
    ----------
    width_per_group : int
        16 is the packaged network, 64 the full ResNet-50.
    phases : tuple of Phase
        One after the other.
    images_per_round : int
        Drawn from the pool, all of which is used once before any image is used again.
    n_train, n_validation, n_test : int
        Numbers of `Shapes` (``single``) drawn with the three seeds below.
    train_seed, validation_seed, test_seed : int
        Distinct, so that no image is shared.
    image_size_px : int
        Side of the images drawn, and of those that the network is tested on.
    batch_size : int
        Images a step.
    cycles : tuple of Cycle
        Of the learning rate; their rounds are the phases'.
    warmup_fraction : float
        Share of a cycle's horizon.
    weight_decay, label_smoothing : float
        Of AdamW, for all but norms and biases; of the cross-entropy.
    seed : int
        For initial weights, order and augmentation.
    """

    width_per_group: int = 16
    phases: tuple[Phase, ...] = (
        Phase(48, 4, window=(1.1, 1.5), texture=(0.0, 0.0)),
        Phase(48, 10, window=(1.1, 1.5), texture=(0.0, 1.0)),
        Phase(64, 12, window=(1.1, 3.0)),
        Phase(96, 3, window=(1.3, 8.0)),
        Phase(96, 5, window=(1.5, 8.0)),
        Phase(128, 5, window=(2.5, 8.0)),
    )
    images_per_round: int = 4096
    n_train: int = 24576
    n_validation: int = 512
    n_test: int = 5000
    train_seed: int = 1001
    validation_seed: int = 1002
    test_seed: int = 1003
    image_size_px: int = 128
    batch_size: int = 32
    cycles: tuple[Cycle, ...] = (Cycle(29, 1e-3, horizon=36), Cycle(4, 6e-4, horizon=16), Cycle(6, 6e-4, horizon=9))
    warmup_fraction: float = 0.04
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.phases or any(phase.rounds < 1 for phase in self.phases):
            raise ValueError(f"phases must name at least one round each, not {self.phases}")
        if any(not 1 <= phase.size_px <= self.image_size_px for phase in self.phases):
            raise ValueError(f"phases must have sizes from 1 to image_size_px={self.image_size_px}, not {self.phases}")
        if not 1 <= self.batch_size <= self.images_per_round <= self.n_train:
            raise ValueError(
                "need 1 <= batch_size <= images_per_round <= n_train, not "
                f"{self.batch_size}, {self.images_per_round} and {self.n_train}"
            )
        if sum(cycle.rounds for cycle in self.cycles) != self.n_rounds:
            raise ValueError(f"the cycles' rounds must add up to the phases' {self.n_rounds}, not {self.cycles}")
        if any(not 1 <= cycle.rounds <= cycle.horizon for cycle in self.cycles):
            raise ValueError(f"a cycle has at least one round and at most its horizon, not {self.cycles}")
        if len({self.train_seed, self.validation_seed, self.test_seed}) < 3:
            raise ValueError("train_seed, validation_seed and test_seed must differ, or images would be shared")

    @property
    def n_rounds(self) -> int:
        """Rounds of all phases."""
        return sum(phase.rounds for phase in self.phases)

    @property
    def steps_per_round(self) -> int:
        """Full batches in a round."""
        return self.images_per_round // self.batch_size

    def phase(self, round_index: int) -> Phase:
        """The phase of a round, counted from zero, as it is then: with the round's own first and last share of textures."""
        for phase in self.phases:
            if round_index < phase.rounds:
                begin, end = (
                    phase.texture[0] + (phase.texture[1] - phase.texture[0]) * done / phase.rounds
                    for done in (round_index, round_index + 1)
                )
                return replace(phase, texture=(begin, end))
            round_index -= phase.rounds
        raise IndexError(f"the recipe has {self.n_rounds} rounds")

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from zero."""
        for cycle in self.cycles:
            if step < cycle.rounds * self.steps_per_round:
                break
            step -= cycle.rounds * self.steps_per_round
        n_steps = cycle.horizon * self.steps_per_round
        n_warmup = self.warmup_fraction * n_steps
        if step < n_warmup:
            return cycle.learning_rate * (step + 1) / (n_warmup + 1)
        return cycle.learning_rate * (1 + math.cos(math.pi * (step - n_warmup) / (n_steps - n_warmup))) / 2

    def dataset(self, split: str) -> Shapes:
        """The images of a split: ``train``, ``validation`` or ``test``."""
        return Shapes(getattr(self, f"n_{split}"), getattr(self, f"{split}_seed"), size=self.image_size_px)
