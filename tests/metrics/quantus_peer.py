"""Quantus' plain functions, loaded from their files: the package itself takes long to import and warns of its syntax."""

import importlib.util
import warnings
from pathlib import Path


def _loaded(name):
    package = Path(importlib.util.find_spec("quantus").origin).parent
    spec = importlib.util.spec_from_file_location(f"quantus_{name}", package / "functions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    return module


n_bins_func, similarity_func = _loaded("n_bins_func"), _loaded("similarity_func")
