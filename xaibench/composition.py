"""From overrides on the command line to settings: the only module that knows Hydra."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xaibench.names import unknown
from xaibench.settings import RunSettings

_VERSION_BASE = "1.3"


class UsageError(ValueError):
    """What was typed cannot be run; the message says what to type instead."""


def conf_folder() -> Path:
    """Where the configuration lies: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise UsageError(f"no configuration beside {package}; reinstall xaibench")


def compose_settings(overrides: Sequence[str]) -> RunSettings:
    """Compose the configuration with overrides such as ``data.n=8``.

    Raises
    ------
    UsageError, UnknownName
        For a misspelt key or choice (with the nearest names), a value of the wrong type, or one that is missing.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    _register(overrides)
    with initialize_config_dir(config_dir=str(conf_folder()), version_base=_VERSION_BASE):
        try:
            return _settings(compose("config", overrides=list(overrides)))
        except (HydraException, OmegaConfBaseException) as error:
            raise _diagnosed(overrides, error) from None


def _settings(config: Any) -> RunSettings:
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue

    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UsageError(f"{missing[0]} must be given: add {missing[0]}=VALUE")
    try:
        settings = OmegaConf.to_object(config)
    except MissingMandatoryValue as error:  # pragma: no cover - missing_keys has found it
        raise UsageError(str(error)) from None
    assert isinstance(settings, RunSettings)
    return settings


def run_under_hydra(words: Sequence[str], run: Callable[[RunSettings], int]) -> int:
    """Let Hydra itself handle its flags (-m, --cfg, --info, …), and run what it composes; the worst exit status."""
    import hydra

    _register([word for word in words if "=" in word])
    status = 0

    @hydra.main(config_path=str(conf_folder()), config_name="config", version_base=_VERSION_BASE)
    def job(config: Any) -> None:
        nonlocal status
        status = max(status, run(_settings(config)))

    before, sys.argv = sys.argv, ["xaibench", *words]
    try:
        job()
    finally:
        sys.argv = before
    return status


def _register(overrides: Sequence[str]) -> None:
    """Tell Hydra the schema, and the models that are named on the command line without having a file in conf/model."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    store.store(name="run_schema", node=RunSettings)
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "model":
            for name in value.split(","):
                if name not in choices("model"):
                    store.store(group="model", name=name, node={"name": name, "weights": None, "num_classes": None})


def groups() -> list[str]:
    """Names of the groups of choices: data, model, …."""
    return sorted(folder.name for folder in conf_folder().iterdir() if folder.is_dir())


def choices(group: str) -> list[str]:
    """Names of a group's files; one in a folder within it has that folder in front: preset/rise."""
    folder = conf_folder() / group
    return sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml"))


def _diagnosed(overrides: Sequence[str], error: Exception) -> Exception:
    """Say what is wrong with the overrides, with the nearest names."""
    from omegaconf import OmegaConf

    for override in overrides:
        key, separator, value = override.lstrip("+~").partition("=")
        if not separator:
            return UsageError(f"{override!r} is not understood; choices are written KEY=VALUE, see xaibench --help")
        if key in groups() and key != "model":
            for name in filter(None, (part.strip() for part in value.strip("[]").split(","))):
                if name not in choices(key):
                    return unknown(key, name, choices(key))
    from hydra import compose

    chosen = [override for override in overrides if override.partition("=")[0] in groups()]
    keys = _dotted_keys(OmegaConf.to_container(compose("config", overrides=chosen)))
    for override in overrides:
        key = override.partition("=")[0]
        if not key.startswith(("+", "~", "hydra.")) and key not in keys and key not in groups():
            return unknown("key", key, keys)
    return UsageError(
        " ".join(
            dict.fromkeys(line.strip() for line in f"{error}\n{error.__cause__ or ''}".splitlines() if line.strip())
        )
    )


def _dotted_keys(config: Any, prefix: str = "") -> list[str]:
    if not isinstance(config, dict):
        return []
    own = [f"{prefix}{key}" for key in config]
    return own + [name for key, value in config.items() for name in _dotted_keys(value, f"{prefix}{key}.")]
