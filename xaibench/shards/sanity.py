"""The sanity checks of a run, cut into shards: one for each check and seed, and one for the calibration."""

from collections.abc import Callable, Iterator
from functools import partial

from xaibench.execution.serial import Result, Shard
from xaibench.metrics.data_randomization import DataRandomization
from xaibench.metrics.efficient_mprt import EfficientMPRT
from xaibench.metrics.parameter_randomization import ParameterRandomization
from xaibench.metrics.random_logit import RandomLogit
from xaibench.shards.calibration import calibrate
from xaibench.shards.cascade import randomize
from xaibench.shards.data_randomization import check_trainable, data_randomization_shard
from xaibench.shards.two_explanations import complicate, explain_others
from xaibench.workbench import SanityCheck, Workbench

_WORK: dict[type, Callable[..., Result]] = {
    EfficientMPRT: complicate,
    RandomLogit: explain_others,
    DataRandomization: data_randomization_shard,
}


def sanity_shards(bench: Workbench) -> list[Shard]:
    """Cut every sanity check into shards; the settings alone decide them.

    Raises
    ------
    ValueError
        If a check cannot be done with this data and model.
    """
    shards = []
    shown = _shown_cascade(bench)
    for key, check in bench.sanity.items():
        if isinstance(check.settings, DataRandomization):
            check_trainable(bench, key)
        few = bench.visits[: check.settings.n_images]
        for number, seed in enumerate(check.settings.seeds):
            if isinstance(check.settings, ParameterRandomization):
                work: Callable[[], Result] = partial(
                    randomize, bench, key, seed, few, keep_maps=key == shown and number == 0
                )
            else:
                work = partial(_WORK[type(check.settings)], bench, key, seed, few)
            shards.append(Shard(f"sanity-{key}-{number:04d}", work, _cost(check, len(few))))
    return [*shards, *_calibration(bench)]


def _shown_cascade(bench: Workbench) -> str | None:
    """The check whose maps are kept for the pictures: the first cascade, from the output on where there is one."""
    cascades = {k: check for k, check in bench.sanity.items() if isinstance(check.settings, ParameterRandomization)}
    return next((k for k, check in cascades.items() if check.settings.order == "top_down"), next(iter(cascades), None))


def _calibration(bench: Workbench) -> Iterator[Shard]:
    """One shard for signed maps and one for rectified ones, as the cascades compare them."""
    cascades = [check for check in bench.sanity.values() if isinstance(check.settings, ParameterRandomization)]
    for rectify in sorted({check.settings.rectify for check in cascades}):
        alike = [check for check in cascades if check.settings.rectify == rectify]
        similarities = tuple(dict.fromkeys(name for check in alike for name in check.settings.similarities))
        explainers = {name: explainer for check in alike for name, explainer in check.explainers.items()}
        few = bench.visits[: max(check.settings.n_images for check in alike)]
        n_pairs = max(check.settings.n_pairs for check in alike)
        work = partial(calibrate, bench, explainers, similarities, few, rectify=rectify, n_pairs=n_pairs)
        name = f"calibration-{'rectified' if rectify else 'signed'}"
        yield Shard(name, work, 10.0 * len(explainers) + n_pairs)


def _cost(check: SanityCheck, n_images: int) -> float:
    """About how many forward passes a seed takes."""
    settings = check.settings
    cost = 2.0 * n_images * sum(3 * explainer.forward_passes() + 1 for explainer in check.explainers.values())
    if isinstance(settings, ParameterRandomization):
        cost *= 10 * settings.n_samples
    if isinstance(settings, DataRandomization):
        cost += settings.n_train * 80.0 * (1 + settings.control)
    return cost
