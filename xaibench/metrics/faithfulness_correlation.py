"""Faithfulness correlation: how the relevance of random sets of pixels goes with what their removal costs [1]_.

.. [1] U. Bhatt, A. Weller, J. M. F. Moura, "Evaluating and Aggregating Feature-based Model Explanations", IJCAI 2020.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor

from xaibench.metrics.baselines import Baseline
from xaibench.metrics.changes import Changes, check_given, correlation_scores, plain_baseline, removals, responses
from xaibench.metrics.draws import generator_for, random_subsets
from xaibench.metrics.map_scores import ByFunction, MapScores
from xaibench.metrics.scores import SCORES
from xaibench.names import pick, unknown

FEATURES = ("pixels", "channel_values")


def faithfulness_correlation(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    *,
    n_subsets: int = 100,
    subset_size: int = 224,
    features: str = "pixels",
    baseline: str | Baseline = "zero",
    score: str = "probability",
    seed: int = 0,
    subsets: Bool[Tensor, "B N K H W"] | None = None,
    batch_size: int = 32,
) -> MapScores:
    """Correlate, over random sets of pixels, the sum of relevance with the drop of the score.

    Parameters
    ----------
    model : nn.Module, or an object with one as its ``network``
        Maps (B, C, H, W) to logits.
    images : Tensor, shape (B, C, H, W)
        Normalized images.
    targets : Tensor of int64, shape (B,)
        Classes whose score is read.
    attributions : Tensor, shape (B, M, H, W)
        Signed maps; a positive factor changes nothing.
    n_subsets, subset_size : int
        How many sets, of how many features each. All maps of an image share them.
    features : {"pixels", "channel_values"}
        What a set is drawn from: pixels, removed in all channels, or single channel values.
    baseline : str or Baseline, default "zero"
        What replaces them.
    score : str, default "probability"
        Name in `SCORES`.
    seed : int
        The sets depend on it and on the image.
    subsets : Tensor of bool, shape (B, N, K, H, W), optional
        Sets to take instead; K is 1 for pixels, C for channel values.
    batch_size : int, default 32
        Images per forward pass.

    Returns
    -------
    MapScores
        Pearson correlations in [-1, 1], higher is better. 1 for a linear model and its exact attribution. NaN for a
        constant map, for sets of equal relevance, and where the score does not change.

    Notes
    -----
    Quantus' default draws 224 channel values a hundred times (``features="channel_values"``) and replaces them by the
    darkest value of the image over all channels (``baseline="minimum"``).
    """
    metric = FaithfulnessCorrelation(n_subsets, subset_size, features, baseline, score, seed)
    check_given(subsets, images, "subsets")
    pictures = plain_baseline(baseline)(images)

    def changes_of(b: int) -> Iterator[Changes]:
        return removals(images[b], pictures[b], metric.draw(images[b]) if subsets is None else [subsets[b]])

    found = responses(model, images, targets, attributions, changes_of, score=score, batch_size=batch_size)
    return correlation_scores(found)


@dataclass(frozen=True)
class FaithfulnessCorrelation(ByFunction):
    """Settings of the faithfulness correlation; see `faithfulness_correlation`."""

    n_subsets: int = 100
    subset_size: int = 224
    features: str = "pixels"
    baseline: str | Baseline = "zero"
    score: str = "probability"
    seed: int = 0
    higher_is_better: ClassVar[bool] = True
    function: ClassVar = staticmethod(faithfulness_correlation)

    def __post_init__(self) -> None:
        if self.n_subsets < 2 or self.subset_size < 1:
            raise ValueError(
                "faithfulness correlation needs at least two subsets of at least one feature, "
                f"got n_subsets={self.n_subsets} and subset_size={self.subset_size}"
            )
        if self.features not in FEATURES:
            raise unknown("kind of features", self.features, FEATURES)
        pick("score", self.score, SCORES)
        plain_baseline(self.baseline)

    def draw(self, image: Float[Tensor, "C H W"]) -> Iterator[Bool[Tensor, "N K H W"]]:
        """Draw the image's sets, piece by piece."""
        channels, height, width = image.shape
        planes = channels if self.features == "channel_values" else 1
        n_features = planes * height * width
        if self.subset_size >= n_features:
            raise ValueError(
                f"subset_size={self.subset_size} of {n_features} {self.features}: all subsets would be the same; "
                f"choose at most {n_features - 1}"
            )
        generator = generator_for(image, self.seed, "faithfulness_correlation")
        for piece in random_subsets(self.n_subsets, self.subset_size, n_features, generator):
            yield piece.view(-1, planes, height, width)
