"""All explainers by name."""

from xaibench.explainers.cams import CAM_CLASSES
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.references import Center, Random, RawImage, Sobel

REFERENCES: dict[str, type[Explainer]] = {kind.name: kind for kind in (Random, Center, Sobel, RawImage)}
"""Explainers that ignore the model."""

EXPLAINERS: dict[str, type[Explainer]] = {**CAM_CLASSES, **REFERENCES}
