"""All explainers by name."""

from xaibench.explainers.cams import CAM_CLASSES
from xaibench.explainers.corrupted import Corrupted
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.gradients import Gradient, InputXGradient
from xaibench.explainers.guided import GuidedBackprop, GuidedGradCAM
from xaibench.explainers.integrated_gradients import IntegratedGradients
from xaibench.explainers.oracle import Oracle
from xaibench.explainers.references import Center, Random, RawImage, Sobel
from xaibench.explainers.smoothed import SmoothGrad

REFERENCES: dict[str, type[Explainer]] = {kind.name: kind for kind in (Random, Center, Sobel, RawImage)}
"""Explainers that ignore the model."""

GRADIENTS: dict[str, type[Explainer]] = {
    kind.name: kind
    for kind in (Gradient, InputXGradient, GuidedBackprop, GuidedGradCAM, IntegratedGradients, SmoothGrad)
}
"""Explainers that differentiate down to the image."""

EXPLAINERS: dict[str, type[Explainer]] = {**CAM_CLASSES, **GRADIENTS, **REFERENCES}

CONTROLS: dict[str, type[Explainer]] = {kind.name: kind for kind in (Oracle, Corrupted)}
"""What explains nothing and tries the metrics instead: the map that knows the object, and maps made worse."""
