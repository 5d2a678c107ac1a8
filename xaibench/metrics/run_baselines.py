"""Baselines that need more than the image: what a run makes of its data set before it starts, and hands over whole.

Both are fixed when the run starts. So an image's baseline still depends on nothing but the image and the settings,
whatever batch or shard it is in.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class DatasetMean:
    """The mean colour of a data set.

    Attributes
    ----------
    colour : tuple of float
        Per channel, in the model's normalized space; `mean_colour` computes it. Zero in that space is the mean colour
        of the data that the model was trained on, which is another one.
    """

    colour: tuple[int | float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "colour", tuple(self.colour))

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the colour everywhere."""
        if len(self.colour) != images.shape[1]:
            raise ValueError(f"colour needs a value for each of {images.shape[1]} channels; got {len(self.colour)}")
        return images.new_tensor(self.colour)[None, :, None, None].expand_as(images)


def mean_colour(images: Iterable[Float[Tensor, "C _ _"]]) -> tuple[float, ...]:
    """Mean of each channel over images of any sizes, each image counting as one.

    Raises
    ------
    ValueError
        If there is no image.
    """
    total, n_images = None, 0
    for image in images:
        colour = image.double().mean(dim=(1, 2)).cpu()
        total, n_images = colour if total is None else total + colour, n_images + 1
    if total is None:
        raise ValueError("the mean colour of no image is undefined; give at least one")
    return tuple((total / n_images).tolist())


@dataclass(frozen=True)
class AnotherImage:
    """Another image of the data set: natural statistics, but with an object of its own.

    Attributes
    ----------
    names : (str, str)
        Of the two donors: what is recorded, and what makes two such baselines equal.
    donors : tuple of two Tensors, shape (C, H, W)
        Normalized images. Every image gets the first, and the first gets the second, so that no image is its own
        baseline; stretched to the image's size if theirs differs.
    """

    names: tuple[str, str]
    donors: tuple[Float[Tensor, "C H1 W1"], Float[Tensor, "C H2 W2"]] = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        first, second = self.donors
        if first.shape == second.shape and torch.equal(first, second):
            raise ValueError(f"the donors {self.names[0]!r} and {self.names[1]!r} are equal; give two different images")

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return a donor for each image."""
        first, second = (self._fitted(donor, images) for donor in self.donors)
        itself = (images == first).flatten(1).all(dim=1)[:, None, None, None]
        return torch.where(itself, second, first)

    def _fitted(self, donor: Tensor, images: Tensor) -> Tensor:
        if donor.shape[0] != images.shape[1]:
            raise ValueError(f"donors must have {images.shape[1]} channels as the images have; got {donor.shape[0]}")
        donor = donor[None].to(images)
        if donor.shape[2:] == images.shape[2:]:
            return donor
        return F.interpolate(donor, size=images.shape[2:], mode="bilinear", antialias=True)
