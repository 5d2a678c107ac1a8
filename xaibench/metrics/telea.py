"""In-painting from the rim of the hole inwards [1]_, by OpenCV.

.. [1] A. Telea, "An Image Inpainting Technique Based on the Fast Marching Method", Journal of Graphics Tools 9, 2004.
"""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Telea:
    """Telea's in-painting, as an imputer. Runs on the CPU, one mask after another: far slower than linear imputation.

    Each channel is filled in its own values, so that the space, normalized or not, does not matter but for rounding.
    Where everything is removed every pixel gets the channel's mean over the image.

    Attributes
    ----------
    radius_px : float
        How far around a pixel known ones are looked up.
    """

    radius_px: int | float = 3.0

    def __post_init__(self) -> None:
        if not self.radius_px > 0:
            raise ValueError(f"radius_px must be above 0; got {self.radius_px}")

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return what stands where everything is removed: the image's mean colour."""
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images)

    def fill(self, image: Float[Tensor, "1 C H W"], removed: Bool[Tensor, "N 1 H W"]) -> Float[Tensor, "N C H W"]:
        """Return the image under each mask, True where removed.

        Raises
        ------
        ImportError
            If OpenCV is not installed.
        """
        inpaint, method = opencv().inpaint, opencv().INPAINT_TELEA
        channels = image[0].float().cpu().numpy()
        masks = removed[:, 0].cpu().numpy().astype(np.uint8)
        filled = torch.from_numpy(
            np.stack([[inpaint(channel, mask, self.radius_px, method) for channel in channels] for mask in masks])
        ).to(image)
        everything = removed.all(dim=3, keepdim=True).all(dim=2, keepdim=True)
        return torch.where(removed, torch.where(everything, self(image), filled), image)


def opencv() -> ModuleType:
    """Import OpenCV, or say how to get it."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            "the baseline telea needs OpenCV: pip install opencv-python-headless, or take noisy_linear"
        ) from error
    return cv2
