"""Texts of the page are legible: their colours against every ground they stand on, in both schemes and in print."""

import itertools
import re

import pytest

from xaibench.report.page.environment import environment

TEXTS, GROUNDS = ("ink", "quiet", "accent", "wrong"), ("ground", "raised", "best")


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def schemes():
    """Colours by name of each scheme: light, and what dark and print change of it."""
    css = environment().get_template("report.css.j2").render(styles=[])
    blocks = [
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6})", block)) for block in re.findall(r":root \{([^}]*)\}", css)
    ]
    light, dark, printed = [{name: _long(colour) for name, colour in block.items()} for block in blocks]
    return {"light": light, "dark": light | dark, "print": light | printed}


def _long(colour):
    return colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])


def test_contrast_agrees_with_the_published_example():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
@pytest.mark.parametrize(("text", "ground"), list(itertools.product(TEXTS, GROUNDS)))
def test_texts_stand_out_by_at_least_4_5_to_1(scheme, text, ground):
    colours = schemes()[scheme]
    assert contrast(colours[text], colours[ground]) >= 4.5


def test_no_text_is_paled_by_opacity():
    css = environment().get_template("report.css.j2").render(styles=[])
    paled = re.findall(r"([^{}]+)\{[^{}]*[^-]opacity:", css)
    assert {rule.strip() for rule in paled} == {"path.band", ".beside"}
