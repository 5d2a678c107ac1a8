"""Curves over removed or inserted pixels: the cards."""

from xaibench.metrics.cards.card import Card

RISE = 'V. Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018'

CURVES = (
    Card(
        name="deletion",
        family="curves",
        title="Deletion",
        measures="Area under the target's score while pixels are removed, most relevant first: low if the map finds "
        "what the model needs.",
        unit="",
        range="[0, 1] for probabilities",
        higher_is_better=False,
        cost="ceil(pixels / step) + 1 per map; the clean and the fully removed image are shared by all maps of an "
        "image",
        traps="Depends on baseline, step, area rule, score and order of equal pixels: compare only equal settings. "
        "Removed pixels leave the training distribution, so edges of the hole can lower the score by "
        "themselves. An image of low confidence has a low area whatever the map.",
        source=RISE,
    ),
    Card(
        name="insertion",
        family="curves",
        title="Insertion",
        measures="Area under the target's score while pixels are put into a blurred image, most relevant first: high "
        "if the map finds what suffices.",
        unit="",
        range="[0, 1] for probabilities",
        higher_is_better=True,
        cost="ceil(pixels / step) + 1 per map; the clean and the blurred image are shared by all maps of an image",
        traps="Depends on the blur, which may leave the class recognizable, and on step, area rule, score and order "
        "of equal pixels. Compact maps are favoured over scattered ones.",
        source=RISE,
    ),
)
