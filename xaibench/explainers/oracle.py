"""The oracle: a map drawn from the object's mask, as coarse as a class activation map.

It knows where the object is, and nothing of what the model uses: no explanation, but the best map there can be for a
metric that looks for the object.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xaibench.explainers.explainer import Explainer


def oracle_maps(masks: Bool[Tensor, "B H W"], *, cells: int) -> Float[Tensor, "B h w"]:
    """Return the share of the object in each of `cells` × `cells` parts of the image, in [0, 1].

    NaN everywhere for an empty mask: nothing says where such an image's object would be.
    """
    shares = F.adaptive_avg_pool2d(masks[:, None].float(), cells)[:, 0]
    return shares.masked_fill(~masks.flatten(1).any(dim=1)[:, None, None], float("nan"))


@dataclass(frozen=True)
class Oracle(Explainer):
    """A map of the object's mask; see `oracle_maps`. It has to be told the masks first, by `informed`.

    Attributes
    ----------
    cells : int
        Along each side; 8 is the grid of a ResNet's third stage on images of 128 pixels.
    upsampling : str
        Mode of `upsample`.
    masks : Tensor of bool, shape (B, H, W), optional
        Objects of the images that will be explained, image by image.
    """

    name: ClassVar[str] = "oracle"

    cells: int = 8
    upsampling: str = "bilinear"
    masks: Bool[Tensor, "B H W"] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise ValueError(f"cells of the oracle along each side must be at least 1; got {self.cells}")

    @property
    def resize(self) -> str:
        """As the cells come to the image's size."""
        return self.upsampling

    def forward_passes(self) -> float:
        """None: the model is not asked."""
        return 0.0

    def informed(self, masks: Bool[Tensor, "B H W"]) -> "Oracle":
        """Return the oracle of these objects."""
        return replace(self, masks=masks)

    def maps(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, "B _ _"]]:
        """Return the share of the object in each cell.

        Raises
        ------
        ValueError
            If the oracle was not told the masks, or those of other images.
        """
        if self.masks is None or self.masks.shape != (len(images), *images.shape[2:]):
            came = "none" if self.masks is None else f"masks of shape {tuple(self.masks.shape)}"
            raise ValueError(
                f"the oracle needs the masks of these {len(images)} images and was told {came}; "
                "use Oracle().informed(masks)"
            )
        return {"": oracle_maps(self.masks.to(images.device), cells=self.cells)}
