"""A user's own model, named as ``module:function``."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from xaibench.models.classifier import Classifier
from xaibench.names import unknown


def call_user_function(name: str, *, seed: int) -> nn.Module | Classifier:
    """Import ``module:function`` and call the function without arguments.

    Parameters
    ----------
    name : str
        Dotted module, importable as installed or from the current folder, a colon, and a function (or class) in it.
    seed : int
        Torch's generator begins with it during the call, should the function draw weights; it is as before afterwards.

    Raises
    ------
    ValueError
        If the name is malformed or the module cannot be imported.
    UnknownName
        If the module has no such function.
    TypeError
        If the function needs arguments, or returns neither a module nor a `Classifier`.
    """
    with _importable_from_here():
        function = _function(name)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            made = function()
    if not isinstance(made, nn.Module | Classifier):
        raise TypeError(f"model {name!r} must return a torch.nn.Module or a Classifier, not {type(made).__name__}")
    return made


def _function(name: str) -> Callable[[], Any]:
    """Find the function and see that it can be called."""
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name.isidentifier():
        raise ValueError(f"model {name!r} must be module:function, for instance my_models:make_network")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # a module that the user's own module wants
        raise ValueError(
            f"model {name!r}: there is no module {error.name!r} installed or in the current folder; start from the "
            "folder that holds it, or add that to PYTHONPATH"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        callables = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown(f"function in {module_name}", function_name, callables)
    needed = [
        p.name
        for p in _parameters(function)
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise TypeError(
            f"model {name!r} is called without arguments, but needs {', '.join(needed)}; give them defaults"
        )
    return function


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Parameters of a function; none where it does not tell, as some written in C."""
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:
        return []


@contextmanager
def _importable_from_here() -> Iterator[None]:
    """Let the current folder be searched for modules, after everything that is installed."""
    here = os.getcwd()  # noqa: PTH109  sys.path wants a string
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
