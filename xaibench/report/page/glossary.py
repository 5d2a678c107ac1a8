"""What the statistics in the tables are: one text for each, which the tables' headings lead to."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A statistic: the columns that hold it, its title, what it is, and where it is from."""

    columns: tuple[str, ...]
    title: str
    text: str
    source: str

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return "term-" + self.title.lower().replace(" ", "-").replace("'", "")


GLOSSARY = (
    Term(
        ("mean", "estimate"),
        "Mean",
        "Over images; an image's values under several seeds are averaged first. Undefined values are in no mean and are "
        "counted beside it.",
        "",
    ),
    Term(
        ("low", "high"),
        "Interval",
        "95 % interval over images unless the caption says otherwise: a bias-corrected and accelerated bootstrap; Wilson's "
        "where each value is 0 or 1; crossed over seeds and images for similarities.",
        'B. Efron, "Better Bootstrap Confidence Intervals", JASA 82, 1987; E. B. Wilson, "Probable Inference, the Law of '
        'Succession, and Statistical Inference", JASA 22, 1927',
    ),
    Term(
        ("undefined", "failed"),
        "Undefined",
        "Values that were asked for and have no answer, such as of a map without positive evidence; never zero.",
        "",
    ),
    Term(
        ("not_finite", "nothing_positive", "all_tied", "tied_share", "positive_share"),
        "Degenerate maps",
        "Not finite: the map holds NaN or infinity, and no metric has a value on it. Nothing positive: the map is zero everywhere "
        "once it is rectified. All tied: no value of the map occurs only once. The tied share is what the rule for equal pixels "
        "decides; of a map that is rectified, all that is not positive is tied.",
        "",
    ),
    Term(
        ("asked", "removed", "least_removed", "most_removed"),
        "Removed share",
        "Share of the image's pixels that a metric was asked to remove, and that it removed. They differ by less than a pixel where "
        "pixels are counted, and widely where a threshold meets ties.",
        "",
    ),
    Term(
        ("in_best_set", "p_against_best"),
        "Best set",
        "The arm with the best mean, and every arm that the paired test does not show to be worse. The p is that of the test "
        "against the best, adjusted as all others.",
        "",
    ),
    Term(
        ("difference",),
        "Difference",
        "Mean of the paired differences, first less second, on the images where both are defined.",
        "",
    ),
    Term(
        ("superiority", "superiority_low", "superiority_high"),
        "Superiority",
        "Share of images on which the first arm scores better than the second, ties counted half.",
        "",
    ),
    Term(
        ("p", "p_adjusted", "family", "test"),
        "Test",
        "Two-sided sign-flip permutation test of the paired differences, exact where there are few images. Adjusted by Holm's "
        'rule over the family: all pairs of a metric\'s arms, as "best" is picked by looking at them all.',
        'R. A. Fisher, "The Design of Experiments", 1935; S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", '
        "Scandinavian Journal of Statistics 6, 1979",
    ),
    Term(
        ("images_80", "images_95"),
        "Images needed",
        "With how many images the test would settle the pair with 80 or 95 % power, if the difference and the spread seen are "
        "the true ones. Images on which both arms are defined are counted: where some are not, more must be seen.",
        'W. C. Guenther, "Sample Size Formulas for Normal Theory T Tests", The American Statistician 35, 1981',
    ),
    Term(
        ("kendalls_w", "chi_square"),
        "Kendall's W",
        "How far images rank the arms alike: 0 not at all, 1 all alike; corrected for ties. Friedman's test belongs to it.",
        'M. G. Kendall and B. Babington Smith, "The Problem of m Rankings", Annals of Mathematical Statistics 10, 1939',
    ),
    Term(
        ("tau", "tau_low", "tau_high", "tau_candidates"),
        "Kendall's tau",
        "How far two rankings of the arms agree: 1 the same, -1 reversed.",
        'M. G. Kendall, "A New Measure of Rank Correlation", Biometrika 30, 1938',
    ),
)


def terms_of(columns: Iterable[str]) -> list[Term]:
    """Terms that stand in these columns."""
    present = set(columns)
    return [term for term in GLOSSARY if present.intersection(term.columns)]


def column_anchors() -> dict[str, str]:
    """Where on the page each column is explained, by its name."""
    return {column: term.anchor for term in GLOSSARY for column in term.columns}
