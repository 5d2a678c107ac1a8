"""Pixel flipping as Quantus has it: single channel values are flipped, not pixels [1]_, [2]_.

.. [1] S. Bach et al., "On Pixel-wise Explanations for Non-linear Classifier Decisions by Layer-wise Relevance
   Propagation", PLoS ONE 10(7), 2015.
.. [2] A. Hedström et al., "Quantus: An Explainable AI Toolkit for Responsible Evaluation of Neural Network Explanations
   and Beyond", JMLR 24(34), 2023.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.metrics.baselines import Baseline, Imputer, named_baseline
from xaibench.metrics.curve import Curve, Endpoints
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.scoring import evaluating, network_of
from xaibench.metrics.steps import PixelSteps


@dataclass(frozen=True)
class PixelFlipping:
    """Score while channel values are flipped, most relevant first.

    A map of one value per pixel gives all channels of a pixel the same relevance, so that the tie rule decides which
    channel goes first; with "raster" it is the first channel, all channels of a pixel being neighbours in rank.

    Attributes
    ----------
    features_in_step : int
        Channel values per step; the last step takes what is left, where Quantus wants a divisor of the pixels. Quantus'
        default is 1, which costs 3 · H · W forward passes a map.
    baseline : str or Baseline
        What stands in flipped values. "minimum" is Quantus' "black", the smallest value that the image has in any
        channel: it is taken from the array flipped so far, whose minimum stays the same.
    score : str
        A name in `scores.SCORES`.
    endpoints : {"both", "start", "end", "neither"}
        Quantus leaves out the clean image.
    area : str
        A name in `areas.AREAS`; Quantus does not divide by the number of steps.
    order : Order
        Applied to the channel values in the order channel, row, column.
    """

    features_in_step: int = 224
    baseline: str | Baseline = "minimum"
    score: str = "probability"
    endpoints: Endpoints = "end"
    area: str = "unit_trapezoid"
    order: Order = field(default_factory=lambda: Order(ties="raster"))
    higher_is_better: ClassVar[bool] = False

    def curve(self, channels: int) -> Curve:
        """Return these settings as a curve over the values of an image whose channels lie below each other."""
        baseline = named_baseline(self.baseline)
        if isinstance(baseline, Imputer):
            raise ValueError(
                f"baseline {self.baseline!r} fills whole pixels, but channel values are flipped one by one"
            )
        return Curve(
            name="pixel_flipping",
            direction="deletion",
            baseline=_TallBaseline(baseline, channels),
            steps=PixelSteps(self.features_in_step),
            order=self.order,
            score=self.score,
            endpoints=self.endpoints,
            area=self.area,
        )

    def scores(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        attributions: Float[Tensor, "B M H W"],
        *,
        batch_size: int = 32,
    ) -> MapScores:
        """Flip by M maps of one value per pixel each; see `flip_channel_values`."""
        if attributions.ndim != 4 or attributions.shape[2:] != images.shape[2:]:
            raise ValueError(
                f"attributions have shape {tuple(attributions.shape)}, expected (B, M, {images.shape[2]}, "
                f"{images.shape[3]}) at the images' resolution; upsample the maps first"
            )
        shape = (*attributions.shape[:2], images.shape[1], *images.shape[2:])
        return self.flip_channel_values(
            model, images, targets, attributions[:, :, None].expand(shape), batch_size=batch_size
        )

    def flip_channel_values(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        attributions: Float[Tensor, "B M C H W"],
        *,
        batch_size: int = 32,
    ) -> MapScores:
        """Flip by M maps of each image that have a value for every channel of every pixel.

        Channels are laid below each other in one tall image of a single channel, on which the engine works as ever; the
        network sees them put back.
        """
        network = network_of(model)
        tall = _Tall(network, images.shape[1])
        with evaluating(network):
            drawn = perturbation_curves(
                tall, images.flatten(1, 2)[:, None], targets, attributions.flatten(2, 3), [self.curve(images.shape[1])],
                batch_size=batch_size,
            )["pixel_flipping"]  # fmt: skip
        return drawn.map_scores()


class _Tall(nn.Module):
    """The network behind images (B, 1, C·H, W) whose channels lie below each other."""

    def __init__(self, network: object, channels: int) -> None:
        super().__init__()
        self.inner, self.channels = network, channels

    def forward(self, tall: Tensor) -> Tensor:
        """Put the channels beside each other again."""
        logits: Tensor = self.inner(tall.reshape(len(tall), self.channels, -1, tall.shape[3]))  # type: ignore[operator]
        return logits


@dataclass(frozen=True)
class _TallBaseline:
    """A baseline made from the image as it is, its channels then laid below each other."""

    baseline: Baseline
    channels: int

    def __call__(self, images: Float[Tensor, "B 1 CH W"]) -> Float[Tensor, "B 1 CH W"]:
        """Return the pictures."""
        upright = images.reshape(len(images), self.channels, -1, images.shape[3])
        return self.baseline(upright).reshape(images.shape)
