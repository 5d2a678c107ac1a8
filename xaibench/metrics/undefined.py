"""Why a value is undefined: one text per image, empty where it is defined."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NOT_FINITE = "map holds NaN or infinity"
CONSTANT = "constant map"
NO_POSITIVE_EVIDENCE = "map without positive evidence"
NO_OBJECT = "no object pixel in the mask"
ONE_POINT = "curve of one point has no area by its rule"
MODEL_NOT_FINITE = "model output holds NaN or infinity"


def why_undefined(
    attributions: Float[Tensor, "B H W"],
    masks: Bool[Tensor, "B H W"] | None = None,
    *,
    varying: bool = False,
    positive: bool = False,
) -> list[str]:
    """Say for each map why a metric has no value on it.

    Parameters
    ----------
    attributions : Tensor, shape (B, H, W)
        Signed maps.
    masks : Tensor of bool, shape (B, H, W), optional
        Objects to be met; an empty one has no answer.
    varying : bool, default False
        Whether the metric needs two different values in the map.
    positive : bool, default False
        Whether it needs a value above zero.

    Returns
    -------
    list of str, length B
        The first reason that applies; "" where the value is defined.
    """
    flat = attributions.flatten(1)
    low, high = flat.amin(dim=1), flat.amax(dim=1)  # both NaN where any pixel is
    tests = [(NOT_FINITE, ~(low.isfinite() & high.isfinite()))]
    if masks is not None:
        tests.append((NO_OBJECT, ~masks.flatten(1).any(dim=1)))
    if positive:
        tests.append((NO_POSITIVE_EVIDENCE, high <= 0))
    if varying:
        tests.append((CONSTANT, low == high))
    failed = torch.stack([test for _, test in tests]).tolist()
    return [next((tests[i][0] for i, bad in enumerate(column) if bad), "") for column in zip(*failed, strict=True)]


def why_either_undefined(
    first: Float[Tensor, "B H W"],
    second: Float[Tensor, "B H W"],
    *,
    whose: tuple[str, str] = ("trained model", "randomized model"),
) -> list[str]:
    """Say for each pair of maps why they cannot be compared: one of them is not finite, or constant.

    Parameters
    ----------
    first, second : Tensor, shape (B, H, W)
    whose : (str, str)
        What to call the two in the reason.

    Returns
    -------
    list of str, length B
        The reason with the map's name in brackets, the first map's first; "" where both are fine.
    """
    pairs = zip(why_undefined(first, varying=True), why_undefined(second, varying=True), strict=True)
    return [next((f"{text} ({name})" for text, name in zip(pair, whose, strict=True) if text), "") for pair in pairs]


def blank(values: Float[Tensor, " B"], reasons: list[str]) -> Float[Tensor, " B"]:
    """Put NaN where there is a reason."""
    return values.masked_fill(torch.tensor([bool(reason) for reason in reasons], device=values.device), torch.nan)


def first_reasons(*reasons: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Combine the reasons (B, M) of the parts that a value is made of: for each map the first part's that has one."""
    return tuple(
        tuple(next(filter(None, each), "") for each in zip(*rows, strict=True)) for rows in zip(*reasons, strict=True)
    )
