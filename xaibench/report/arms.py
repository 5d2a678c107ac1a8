"""How a picture names its arms: as briefly as the arms that are there allow."""

from collections.abc import Sequence

from xaibench.report.labels import Arm, is_reference, spoken


def short_labels(arms: Sequence[Arm]) -> dict[Arm, str]:
    """Label arms for pictures: the layer alone where all but references are of one explainer, else both."""
    single = len({arm[0] for arm in arms if not is_reference(arm)}) == 1
    return {arm: _short(arm, single=single) for arm in arms}


def _short(arm: Arm, *, single: bool) -> str:
    explainer, layer = arm
    if not layer:
        return explainer
    return layer if single else spoken(arm).replace(" at ", " ")
