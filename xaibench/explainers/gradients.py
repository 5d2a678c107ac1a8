"""The gradient of a score by the image: saliency maps [1]_, and the same times the image [2]_.

.. [1] K. Simonyan, A. Vedaldi, A. Zisserman, "Deep Inside Convolutional Networks: Visualising Image Classification
   Models and Saliency Maps", ICLR Workshop 2014.
.. [2] A. Shrikumar, P. Greenside, A. Shcherbina, A. Kundaje, "Not Just a Black Box: Learning Important Features
   Through Propagating Activation Differences", 2016.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.borrowed import borrowed, random_state_restored, unwrapped
from xaibench.explainers.capture import check_logits
from xaibench.explainers.pixelwise import PixelExplainer
from xaibench.explainers.scores import score_of
from xaibench.explainers.targets import check_targets


def image_gradients(
    model: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"], *, score: str = "logit"
) -> Float[Tensor, "B C H W"]:
    """Differentiate each image's own score by its values: one forward and one backward pass.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits (B, classes). It is evaluated in evaluation mode and no parameter gradient is computed;
        modes, flags and torch's global random state are as before afterwards, also after an exception. Wrappers such
        as ``DataParallel`` and ``torch.compile`` are taken off.
    images : Tensor, shape (B, C, H, W)
        Normalized as the model wants: the gradient is by these values, not by those of the picture.
    targets : Tensor of int, shape (B,)
        Classes to explain.
    score : str
        What is differentiated, a name in `SCORES`.

    Raises
    ------
    NonFiniteOutput
        If logits hold NaN or infinity; `indices` tells for which images.
    ValueError
        If targets or the model's output do not fit, or nothing can be differentiated.
    """
    network = unwrapped(model)
    with torch.inference_mode(False), torch.enable_grad(), borrowed(network):
        # autograd refuses tensors that were made in inference mode
        leaf = (images.clone() if images.is_inference() else images.detach()).requires_grad_()
        scores = differentiable_scores(network, leaf, targets, score)
        return torch.autograd.grad(scores.sum(), leaf)[0]


def differentiable_scores(
    network: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"], score: str
) -> Float[Tensor, " B"]:
    """Run a `borrowed` network on images that require a gradient and return the scores; errors as above."""
    with random_state_restored(images.device):
        logits = network(images.clone())  # a first layer may work in place, which a leaf does not allow
    check_logits(logits, len(images))
    scores = score_of(logits, check_targets(targets, logits), score)
    if not scores.requires_grad:
        raise ValueError(
            f"{type(network).__name__}'s score cannot be differentiated by the image: something on the way is "
            "detached, rounded or under torch.no_grad; explain it with a method that needs no gradient"
        )
    return scores


@dataclass(frozen=True, kw_only=True)
class Gradient(PixelExplainer):
    """The score's gradient by the image; see `image_gradients`, and `PixelExplainer` for the settings.

    The paper's map is ``channels="max_abs"``.
    """

    name: ClassVar[str] = "gradient"

    def relevance(
        self, model: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C H W"]:
        """Return the gradients."""
        return image_gradients(model, images, targets, score=self.score)


@dataclass(frozen=True, kw_only=True)
class InputXGradient(PixelExplainer):
    """The normalized image times the score's gradient by it: exact for a linear model without bias.

    A pixel of the mean colour, zero once normalized, has no relevance whatever the model.
    """

    name: ClassVar[str] = "input_x_gradient"

    def relevance(
        self, model: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C H W"]:
        """Return images times gradients."""
        return images * image_gradients(model, images, targets, score=self.score)
