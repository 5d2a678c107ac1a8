"""Whether maps fit the images, and masks the maps: checked where they enter, so that nothing is scored askew."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor


def check_maps(images: Float[Tensor, "B C H W"], attributions: Mapping[str, Tensor]) -> None:
    """See that each layer's maps are one for each image, as large as the image and on its device.

    Raises
    ------
    ValueError
        If they are not.
    """
    expected = (len(images), *images.shape[2:])
    for layer, maps in attributions.items():
        whose = f"attributions of layer {layer!r}" if layer else "attributions"
        if tuple(maps.shape) != expected:
            raise ValueError(f"{whose} have shape {tuple(maps.shape)}, expected {expected}; upsample the maps first")
        if maps.device != images.device:
            raise ValueError(f"{whose} are on {maps.device}, images on {images.device}; move one of them")


def check_masks(attributions: Tensor, masks: Tensor) -> None:
    """See that there is one mask for each map, of its size and on its device.

    Raises
    ------
    ValueError
        If there is not.
    """
    if attributions.shape != masks.shape:
        raise ValueError(
            f"masks have shape {tuple(masks.shape)}, attributions {tuple(attributions.shape)}; bring both to the image's "
            "resolution, one for each image"
        )
    if attributions.device != masks.device:
        raise ValueError(f"attributions are on {attributions.device}, masks on {masks.device}; move one of them")
