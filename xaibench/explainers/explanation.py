"""Maps in one call, for a notebook."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from xaibench.explainers.cams import CAM_CLASSES
from xaibench.explainers.capture import capture
from xaibench.explainers.upsample import MODES, upsample
from xaibench.names import pick


@runtime_checkable
class HasNetwork(Protocol):
    """What carries a network, such as `xaibench.models.classifier.Classifier`."""

    @property
    def network(self) -> nn.Module:
        """Maps images to logits (B, classes)."""
        ...


def explain(
    model: nn.Module | HasNetwork,
    images: Tensor,
    layers: Sequence[str],
    *,
    targets: Tensor | str | int = "predicted",
    labels: Tensor | None = None,
    method: str = "grad_cam",
    score: str = "logit",
    upsampling: str = "bilinear",
    rectify: bool = False,
) -> dict[str, Float[Tensor, "B H W"]]:
    """Explain the model's answers with a class activation map for each layer.

    Parameters
    ----------
    model : nn.Module or Classifier
        Images are moved to its device.
    images : Tensor, shape (B, C, H, W)
        Normalized as the model wants. A single image needs its batch axis: ``image[None]``.
    layers : sequence of str
        Dotted module names, such as ``["layer3.5", "layer4.2"]``.
    targets : Tensor of int, shape (B,), or rule
        Classes to explain: a tensor, one class for all, or ``predicted``, ``label``, ``runner_up``, ``least_likely``.
    labels : Tensor of int, shape (B,), optional
        For ``targets="label"``.
    method : str
        ``grad_cam``, ``grad_cam_plus_plus``, ``xgrad_cam``, ``hires_cam`` or ``layer_cam``.
    score : str
        What is differentiated: ``logit``, ``probability``, ``log_probability`` or ``margin``.
    upsampling : str
        ``bilinear``, ``nearest`` or ``bicubic``.
    rectify : bool
        Whether to cut off negative values before upsampling, as the papers do for display.

    Returns
    -------
    dict of str to Tensor, shape (B, H, W)
        Attributions by layer: signed unless rectified, unscaled.

    Examples
    --------
    >>> attributions = explain(model, images, ["layer4.2"])  # doctest: +SKIP
    """
    if images.ndim != 4:
        raise ValueError(
            f"images must be a batch (B, C, H, W); got shape {tuple(images.shape)}"
            + ("; for a single image pass image[None]" if images.ndim == 3 else "")
        )
    network = model if isinstance(model, nn.Module) else model.network
    parameter = next(network.parameters(), None)
    if parameter is not None:
        images = images.to(parameter.device)
    kind = pick("method", method, CAM_CLASSES)
    pick("upsampling", upsampling, dict.fromkeys(MODES))
    captured = capture(network, images, layers, targets=targets, labels=labels, score=score)
    cam = kind(tuple(captured.activations), score=score, upsampling=upsampling, rectify=rectify)
    size = (images.shape[2], images.shape[3])
    return {layer: upsample(maps, size, mode=upsampling) for layer, maps in cam.maps_of(captured).items()}
