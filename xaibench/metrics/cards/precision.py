"""What less precision does to maps and scores: the cards."""

from xaibench.metrics.cards.card import Card

PRECISION = (
    Card(
        name="map_relative_error",
        family="precision",
        title="Relative error of the map",
        measures="Euclidean norm of a map in less precision minus float64's, over the norm of the latter.",
        unit="",
        range="at least 0",
        higher_is_better=False,
        cost="one explanation in each precision",
        traps="A map that is nearly zero makes it large; it does not say where the difference lies. Undefined where float64's map is zero.",
        source="measured here",
    ),
    Card(
        name="map_rank_correlation",
        family="precision",
        title="Rank correlation of the map",
        measures="Spearman's rank correlation of the pixels with those of float64's map, at the layer's own resolution.",
        unit="",
        range="from -1 to 1, 1 for the same order",
        higher_is_better=True,
        cost="none beside the maps",
        traps="What metrics that rank pixels see of the error; a deep layer has few pixels. Undefined for a constant map.",
        source="measured here",
    ),
    Card(
        name="score_error",
        family="precision",
        title="Error of a score",
        measures="Absolute difference between a score of the target, or the area of a curve, in less precision and in float64.",
        unit="that of the score",
        range="at least 0",
        higher_is_better=False,
        cost="none beside the explanations; for areas the forward passes of their curves",
        traps="Scores have different units: compare within one. Areas are drawn with float64's ranking of the pixels in every precision.",
        source="measured here",
    ),
)
