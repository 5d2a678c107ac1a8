"""Class activation maps as functions of a layer's activations and gradients.

All take activations A and gradients g = ∂score/∂A of shape (B, K, h, w) and return signed maps (B, h, w), neither
rectified nor scaled. None depends on the other images of the batch. A map that its definition leaves undefined is
NaN everywhere. Sums Σ run over space, Σ_k over channels.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Layer = Float[Tensor, "B K h w"]
Maps = Float[Tensor, "B h w"]


def grad_cam(activations: Layer, gradients: Layer) -> Maps:
    """Grad-CAM: Σ_k w_k A_k with w_k the spatial mean of g_k (equations 1 and 2 of [1]_).

    The paper's final ReLU is left to the caller: the signed map also tells what speaks against the class.

    .. [1] R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
       Localization", ICCV 2017.
    """
    return _weighted(activations, gradients.mean(dim=(2, 3)))


def grad_cam_plus_plus(activations: Layer, gradients: Layer, *, eps: float = 0.0) -> Maps:
    """Grad-CAM++: Σ_k w_k A_k with w_k = Σ α_k ReLU(g_k), α_k = g² / (2 g² + g³ ΣA_k + eps), equation 19 of [1]_.

    α is 0 where g is 0. The paper differentiates exp(logit): that scales its map by a positive number only.
    Undefined where the denominator of α vanishes although g is positive, ΣA_k = −2 / g.

    Parameters
    ----------
    activations, gradients : Tensor, shape (B, K, h, w)
    eps : float
        Added to the denominator by some programs (pytorch-grad-cam: 1e-6); the paper has none.

    .. [1] A. Chattopadhyay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep
       Convolutional Networks", WACV 2018.
    """
    positive = gradients > 0
    g = torch.where(positive, gradients, 1.0)
    # g² is divided out: it would underflow where the result is harmless
    alpha = 1 / (2 + g * activations.sum(dim=(2, 3), keepdim=True) + eps / g / g)
    return _weighted(activations, torch.where(positive, alpha * g, 0.0).sum(dim=(2, 3)))


def xgrad_cam(activations: Layer, gradients: Layer, *, eps: float = 0.0) -> Maps:
    """XGrad-CAM: Σ_k w_k A_k with w_k = Σ g_k A_k / (ΣA_k + eps), equation 8 of [1]_.

    A channel that is zero everywhere adds nothing, whatever its weight would be. A channel with positive and negative
    values that sum to zero has no weight: the map is undefined.

    Parameters
    ----------
    activations, gradients : Tensor, shape (B, K, h, w)
    eps : float
        Added to the denominator by some programs (authors' 1e-6, pytorch-grad-cam 1e-7, torch-cam 1e-8).

    .. [1] R. Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC 2020.
    """
    silent = (activations == 0).flatten(2).all(dim=2)
    denominators = torch.where(silent, 1.0, activations.sum(dim=(2, 3)) + eps)
    return _weighted(activations, (gradients * activations).sum(dim=(2, 3)) / denominators)


def hires_cam(activations: Layer, gradients: Layer) -> Maps:
    """HiResCAM: Σ_k g_k A_k, pixel by pixel, no pooling of the gradient [1]_.

    .. [1] R. L. Draelos, L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
       neural networks", 2020.
    """
    return torch.einsum("bkhw,bkhw->bhw", gradients, activations)


def layer_cam(activations: Layer, gradients: Layer) -> Maps:
    """LayerCAM: Σ_k ReLU(g_k) A_k, pixel by pixel (equations 5 and 6 of [1]_, before its ReLU).

    .. [1] P.-T. Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE
       Transactions on Image Processing, 2021.
    """
    return torch.einsum("bkhw,bkhw->bhw", gradients.relu(), activations)


def _weighted(activations: Layer, weights: Float[Tensor, "B K"]) -> Maps:
    # an infinite weight times zero and non-zero activations would give a mixture of NaN and infinity
    undefined = ~weights.isfinite().all(dim=1)
    maps = torch.einsum("bk,bkhw->bhw", weights, activations)
    return maps.masked_fill(undefined[:, None, None], float("nan"))


CAMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "xgrad_cam": xgrad_cam,
    "hires_cam": hires_cam,
    "layer_cam": layer_cam,
}
