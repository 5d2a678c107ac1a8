"""The image multiplied with its map: the cards."""

from xaibench.metrics.cards.card import Card

GRAD_CAM_PLUS_PLUS = 'A. Chattopadhay et al., "Grad-CAM++", WACV 2018'

MASKING = (
    Card(
        name="average_drop",
        family="masking",
        title="Average drop",
        measures="Share of the target's probability that is lost when the image is multiplied with its map.",
        unit="",
        range="[0, 1]",
        higher_is_better=False,
        cost="1 per map and 1 per image",
        traps="A map that is high everywhere drops nothing. The product is taken in normalized space, so the map's "
        "zeros show the training data's mean colour. A map without positive evidence is undefined, and "
        "counted apart.",
        source=GRAD_CAM_PLUS_PLUS,
    ),
    Card(
        name="increase_in_confidence",
        family="masking",
        title="Increase in confidence",
        measures="Whether the image multiplied with its map has a strictly higher target probability than the image.",
        unit="",
        range="0 or 1 per image; a share when averaged",
        higher_is_better=True,
        cost="none beside average drop",
        traps="Nearly impossible for an image of confidence close to 1; says nothing about how much.",
        source=GRAD_CAM_PLUS_PLUS,
    ),
)
