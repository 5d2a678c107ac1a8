"""What the masks say of the faithfulness metrics, in sentences no stronger than their tests."""

import math
from collections.abc import Sequence

from xaibench.report.labels import metric_title
from xaibench.report.trust.validity import Validity
from xaibench.report.wording import counted, fixed, listed, lowered, p_at_least, p_at_most

CAVEAT = "The mask is where the object is, not what the network used."


def validity_sentences(found: Sequence[Validity]) -> list[str]:
    """Say for each measure of the masks which faithfulness metrics agree with it best, and at the end what a mask is."""
    said = [sentence for one in found if (sentence := _sentence(one))]
    return [*said[:-1], f"{said[-1]} {CAVEAT}"] if said else []


def _sentence(of: Validity) -> str:
    if of.best.best is None:
        return ""
    best = str(of.best.best)
    opening = f"Held against the masks by {lowered(of.title)} ({counted(of.best.n, 'image')}, {of.n_arms} maps each), "
    mean = f"mean rank correlation {_mean(of, best)}"
    others = [str(name) for name in of.best.members if name != best]
    beaten = [name for name in of.compared if name != best and name not in others]
    if len(of.compared) == 1:
        return (
            f"{opening}{_title(of, best)} is the only faithfulness metric that ranks the maps of enough images: {mean}."
        )
    if not others:
        p = p_at_most(_p(of, beaten))
        metrics = counted(len(of.compared), "faithfulness metric")
        return f"{opening}{_title(of, best)} agrees best of {metrics}: {mean} ({p} against each other one)."
    alike = listed([f"{_title(of, name)} ({_mean(of, name)})" for name in others])
    undecided = f"cannot be told from {alike} ({p_at_least(_p(of, others))})"
    if not beaten:
        return (
            f"{opening}no faithfulness metric is settled as the one that agrees best: {_title(of, best)} has the best "
            f"{mean}, but {undecided}."
        )
    return (
        f"{opening}{_title(of, best)} has the best {mean}; it {undecided}, and agrees better than "
        f"{listed([f'{_title(of, name)} ({_mean(of, name)})' for name in beaten])} ({p_at_most(_p(of, beaten))})."
    )


def _title(of: Validity, name: str) -> str:
    return lowered(of.titles.get(name, metric_title(name)))


def _mean(of: Validity, name: str) -> str:
    one = of.intervals[name]
    bounds = f" [{fixed(one.low)}, {fixed(one.high)}]" if math.isfinite(one.low) else ""
    return f"{fixed(one.estimate)}{bounds}"


def _p(of: Validity, names: Sequence[str]) -> list[float]:
    return [of.best.p[name] for name in names]
