"""The recorded settings of a number in plain words: the conventions of a curve, and whatever else a metric was told.

Records keep settings as JSON, objects such as baselines as they would be written in Python. Both are turned into words
here; what has none is shown as it was recorded, so that nothing is left out.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any

Settings = Mapping[str, Any]
Told = tuple[str, str]
"""A term and what is said of it."""

SCORE_WORDS = {
    "probability": "the target's softmax probability",
    "log_probability": "logarithm of the target's softmax probability",
    "logit": "the target's logit, before the softmax",
    "margin": "the target's logit less the highest other one",
    "sigmoid": "sigmoid of the target's logit",
    "correct": "1 where the target is the predicted class, else 0",
}
AREA_WORDS = {
    "uniform_trapezoid": "trapezoids, all steps taken as equally wide; a mean height",
    "trapezoid": "trapezoids over the true fractions, not divided by their span",
    "span_trapezoid": "trapezoids over the true fractions, divided by their span; a mean height",
    "unit_trapezoid": "trapezoids of width 1, so that it grows with the number of points",
    "point_trapezoid": "trapezoids of width 1 / (number of points)",
    "mean": "mean of the points",
    "mean_drop": "first point less the mean of all points",
}
TIE_WORDS = {
    "raster": "the earlier in reading order goes first",
    "reverse_raster": "the later in reading order goes first",
    "random": "a shuffle decides, the same for all maps",
    "signed": "the map before rectification decides",
}
RESIZE_WORDS = {
    "none": "not resized: the map is as large as the image",
    "bilinear": "bilinear, pixel centres aligned",
    "nearest": "nearest cell",
    "bicubic": "bicubic, which overshoots",
    "bilinear, rectified before": "bilinear, pixel centres aligned; negative values cut off before",
    "nearest, rectified before": "nearest cell; negative values cut off before",
    "bicubic, rectified before": "bicubic, which overshoots; negative values cut off before",
}
_NORMALIZED = "in the model's normalized space"
BASELINE_WORDS = {
    "Zero": f"zero {_NORMALIZED}: the mean colour of the model's training data",
    "Black": "black in pixel space, brought into the model's normalized space",
    "Mean": f"the image's own mean colour, {_NORMALIZED}",
    "Blur": f"the image, blurred (Gaussian of {{sigma_px}} px, {_NORMALIZED})",
    "RiseBlur": f"the image, blurred {_NORMALIZED} (RISE's kernel of {{kernel_px}} px, sigma {{sigma_px}}; zero beyond the border)",
    "Noise": f"uniform noise within the range of each channel of the image, {_NORMALIZED} (seed {{seed}})",
    "Minimum": f"the image's smallest value in any channel, {_NORMALIZED}",
    "CutBlur": f"the image, blurred (kernel of {{kernel_px}} px, sigma {{sigma_px}}, {_NORMALIZED})",
    "BoxBlur": f"the image, averaged over a box of {{share_of_width}} of its width, {_NORMALIZED}",
    "DatasetMean": f"mean colour of the data set, {_NORMALIZED}",
    "AnotherImage": f"another image of the data set, {_NORMALIZED}",
    "NoisyLinear": f"filled in from the neighbours that are left (noisy linear imputation, noise {{noise}}, {_NORMALIZED})",
    "Telea": f"in-painted from what is left (Telea, radius {{radius_px}} px, {_NORMALIZED})",
}
STEP_WORDS = {
    "PixelSteps": "{step_px} {unit} a step; the last takes what is left",
    "EqualSteps": "{n_steps} equal steps",
    "ChunkSteps": "{n_steps} steps of equally many {unit}, rounded up; the last takes what is left",
    "LinspaceSteps": "{n_steps} equal steps up to the share {max_fraction}, rounded down",
    "PointSteps": "{n_points} points; the last jumps to everything",
    "FractionSteps": "{n_points} shares from {start} to {stop}, rounded down to whole {unit} ({counted} ones are counted)",
    "SingleSteps": "one of the {unit} at each step (at most {most})",
    "SpacedSteps": "{n_points} counts from 1 to all, spaced by {spacing}",
}
REGION_WORDS = {
    "Patches": "square patches of {side_px} px",
    "Grid": "a grid of {rows} × {columns} cells",
    "Superpixels": "superpixels (SLIC, about {n_segments}, compactness {compactness}, smoothed by {sigma_px} px)",
}
_ENDS = {
    "both": "both: nothing {changed} and everything {changed}",
    "start": "the first only: nothing {changed}",
    "end": "the last only: everything {changed}",
    "neither": "neither end belongs to the curve",
}
_FIRST = {"most": "most relevant first", "least": "least relevant first", "random": "in random order"}
_CURVE = {
    "direction", "first", "baseline", "steps", "score", "endpoints", "area", "ties", "seed", "rectify", "resize",
    "regions", "region_score", "precision",
}  # fmt: skip
_TERMS = {
    "order": "Order of the modules", "granularity": "What is randomized as a whole", "scheme": "How weights are drawn",
    "batch_norm": "Running statistics of batch norm", "n_samples": "Copies of an image averaged over",
    "noise_level": "Noise of the copies", "target": "Class explained", "rectify": "Negative values cut off",
    "stretch": "Map scaled to [0, 1]", "sign": "Sign of the map", "relative": "Relative to the clean score",
    "tolerance_px": "Tolerance in pixels", "muted_share": "Share of pixels muted", "n_pairs": "Pairs of maps",
    "resize": "Resize of the map", "score": "Score", "baseline": "Baseline and its space", "ties": "Equal pixels",
    "area": "Area rule", "endpoints": "Endpoints", "steps": "Steps",
}  # fmt: skip


def told(settings: Settings) -> list[tuple[str, list[Told]]]:
    """Say what settings mean: groups of (heading, terms); the first has no heading.

    Parameters
    ----------
    settings : mapping
        As recorded. A curve's settings, flat or nested under the curve's name, become its seven conventions and what
        goes with them; other ones are named one by one.
    """
    if "direction" in settings and "area" in settings:
        own = [(key, value) for key, value in settings.items() if key not in _CURVE and key != "name"]
        return [("", [*curve_conventions(settings), *(_plain(key, value) for key, value in own)])]
    nested = {key: value for key, value in settings.items() if isinstance(value, Mapping)}
    flat = [_plain(key, value) for key, value in settings.items() if key not in nested and key != "name"]
    groups = [("", flat)] if flat else []
    for key, value in nested.items():
        curve = "direction" in value and "area" in value
        heading = f"Curve {key.removeprefix('curve').strip('/_. ') or key}" if curve else capitalized(key)
        rows = curve_conventions({**settings, **value}) if curve else [_plain(name, one) for name, one in value.items()]
        groups.append((heading, rows))
    return groups


def curve_conventions(settings: Settings) -> list[Told]:
    """Seven conventions of a curve, and which way it goes, in words."""
    inserted = settings["direction"] == "insertion"
    unit = "pixels" if settings.get("regions", "pixels") == "pixels" else "regions"
    rows = [
        ("Direction of the curve", f"{unit} are {'put in' if inserted else 'removed'}, {_first(settings)}"),
        ("Score", _word(SCORE_WORDS, settings.get("score"))),
        ("Baseline and its space", _object(BASELINE_WORDS, settings.get("baseline"))),
        ("Steps", _object(STEP_WORDS, settings.get("steps"), unit=unit)),
        ("Endpoints", _word(_ENDS, settings.get("endpoints")).format(changed="put in" if inserted else "removed")),
        ("Area rule", _word(AREA_WORDS, settings.get("area"))),
        ("Equal pixels", _word(TIE_WORDS, settings.get("ties"))),
        ("Resize of the map", _word(RESIZE_WORDS, settings.get("resize"))),
        ("Sign of the map", "negative values are cut off first" if settings.get("rectify") else "signed, as it is"),
    ]
    if unit == "regions":
        rows.append(
            (
                "Regions",
                f"{_object(REGION_WORDS, settings['regions'])}, ranked by the map's {settings.get('region_score')}",
            )
        )
    precision = settings.get("precision")
    return [*rows, ("Points drawn", "all" if precision is None else f"those that an area to ±{precision:g} needs")]


def capitalized(key: str) -> str:
    """A key as a term: ``n_steps`` becomes ``N steps``."""
    words = key.replace("_", " ").replace(".", ": ")
    return words[:1].upper() + words[1:]


def _first(settings: Settings) -> str:
    words = _word(_FIRST, settings.get("first", "most"))
    random = "random" in (settings.get("first"), settings.get("ties"))
    return f"{words} (seed {settings.get('seed')})" if random else words


def _word(words: Mapping[str, str], value: object) -> str:
    return "not recorded" if value is None else words.get(str(value), str(value))


_SPECIAL: dict[str, Callable[[Any], str]] = {
    "resize": lambda value: _word(RESIZE_WORDS, value),
    "score": lambda value: _word(SCORE_WORDS, value),
    "baseline": lambda value: _object(BASELINE_WORDS, value),
    "ties": lambda value: _word(TIE_WORDS, value),
    "area": lambda value: _word(AREA_WORDS, value),
    "steps": lambda value: _object(STEP_WORDS, value, unit="pixels"),
}


def _plain(key: str, value: object) -> Told:
    term = _TERMS.get(key, capitalized(key))
    if isinstance(value, bool):
        return term, "yes" if value else "no"
    if value is None:
        return term, "none"
    if key in _SPECIAL and isinstance(value, str):
        return term, _SPECIAL[key](value)
    if isinstance(value, Mapping):
        return term, "; ".join(f"{name.replace('_', ' ')} {_plain(name, one)[1]}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return term, ", ".join(map(str, value))
    return term, str(value)


def _object(words: Mapping[str, str], value: object, **more: object) -> str:
    """Words for an object written as in Python, ``EqualSteps(n_steps=16)``; as it is where it has none."""
    text = str(value)
    try:
        call = ast.parse(text, mode="eval").body
        name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else text
        given = call.keywords if isinstance(call, ast.Call) else []
        values = {one.arg: _literal(one.value) for one in given if one.arg}
        return words[name].format(**values, **more)
    except (SyntaxError, KeyError, ValueError):
        return "not recorded" if value is None else text


def _literal(node: ast.expr) -> str:
    value = ast.literal_eval(node)
    return "all" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
