"""How numbers and lists are written in sentences and in tables meant for reading."""

import math
from collections.abc import Sequence

UNDEFINED = "–"


def number(value: float, *, decimals: int = 3) -> str:
    """A fixed number of decimals, or significant digits where those would hide the value; a dash for NaN."""
    if not math.isfinite(value):
        return UNDEFINED
    if value and not 10**-decimals <= abs(value) < 10_000:
        return f"{value:.{decimals}g}"
    return (
        f"{0.0 + value:.{decimals}f}".removesuffix("." + "0" * decimals)
        if abs(value) >= 1000
        else f"{value:.{decimals}f}"
    )


def fixed(value: float, decimals: int = 2) -> str:
    """That many decimals whatever the size, without a negative zero; for values of known scale."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if math.isfinite(value) else UNDEFINED


def lowered(title: str) -> str:
    """A title within a sentence: ``best IoU``, but ``ROAD``."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def capital(text: str) -> str:
    """A clause at the start of a sentence."""
    return text[:1].upper() + text[1:]


def p_text(p: float) -> str:
    """``p = 0.21``, ``p < 0.001``, ``p unknown``; rounded towards 1 so that no test looks stronger than it was."""
    if not math.isfinite(p):
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {rounded_up(p)}"


def p_at_most(values: Sequence[float]) -> str:
    """The largest of several p-values as a bound: ``p ≤ 0.004``; as `p_text` for a single one."""
    text = p_text(max(values))
    return text if len(values) == 1 else text.replace("=", "≤")


def p_at_least(values: Sequence[float]) -> str:
    """The smallest of several p-values as a bound: ``p ≥ 0.21``, rounded down; as `p_text` for a single one."""
    known = [p for p in values if math.isfinite(p)]
    if len(values) == 1 or not known:
        return p_text(values[0] if values else math.nan)
    if min(known) > 1 - 1e-9:
        return "p = 1.00"
    digits = 3 if min(known) < 0.1 else 2
    return f"p ≥ {math.floor(min(known) * 10**digits + 1e-9) / 10**digits:.{digits}f}"


def rounded_up(p: float) -> str:
    """Two decimals, three below 0.1 and four near 0.05, rounded up."""
    digits = 4 if 0.045 <= p < 0.055 else 3 if p < 0.1 else 2
    return f"{math.ceil(p * 10**digits - 1e-9) / 10**digits:.{digits}f}"


def interval_text(estimate: float, low: float, high: float, *, decimals: int = 3) -> str:
    """``0.812 [0.780, 0.840]``; without brackets where the bounds are unknown."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return number(estimate, decimals=decimals)
    return (
        f"{number(estimate, decimals=decimals)} [{number(low, decimals=decimals)}, {number(high, decimals=decimals)}]"
    )


def listed(names: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def counted(n: int, noun: str) -> str:
    """``1 image``, ``12 images``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
