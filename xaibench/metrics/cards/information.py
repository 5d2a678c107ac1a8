"""Curves over the information left in the image: the cards."""

from xaibench.metrics.cards.card import Card

KAPISHNIKOV = 'A. Kapishnikov et al., "XRAI: Better Attributions Through Regions", ICCV 2019'
COST = "one per threshold and map, and 2 per image shared by its maps; both curves can come from the same passes"
TRAPS = (
    "Information is the size of a lossless WebP file and changes with the encoder's version. Images of a clean score below "
    "0.8, or whose blurred picture is not smaller or scores no lower, are undefined for all maps: see how many. Large ties "
    "enter at once. Every point needs an interpolation of the whole picture on the CPU, which can take longer than the model."
)

INFORMATION = (
    Card(
        name="sic",
        family="information",
        title="Softmax information curve",
        measures="Area under the share of the target's probability regained, against the share of information, while the most "
        "relevant pixels are put back into a blurred picture.",
        unit="",
        range="[0, 1]",
        higher_is_better=True,
        cost=COST,
        traps=TRAPS,
        source=KAPISHNIKOV,
    ),
    Card(
        name="aic",
        family="information",
        title="Accuracy information curve",
        measures="Area under whether the target is predicted, against the share of information, while the most relevant pixels "
        "are put back into a blurred picture.",
        unit="",
        range="[0, 1]",
        higher_is_better=True,
        cost=COST,
        traps=TRAPS,
        source=KAPISHNIKOV,
    ),
)
