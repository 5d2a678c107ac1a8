"""Explainers: capture, the CAM family, gradients and the reference explainers. Names, and torch, are loaded on use."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xaibench.explainers.catalogue import EXPLAINERS, REFERENCES
    from xaibench.explainers.explainer import Explainer
    from xaibench.explainers.explanation import explain

__all__ = ["EXPLAINERS", "REFERENCES", "Explainer", "explain"]

_HOME = {"EXPLAINERS": "catalogue", "REFERENCES": "catalogue", "Explainer": "explainer", "explain": "explanation"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
