"""What is known of every image and map of a run: the cards."""

from xaibench.metrics.cards.card import Card

RUN = (
    Card(
        name="confidence",
        family="run",
        title="Confidence",
        measures="Probability of the target on the clean image.",
        unit="",
        range="[0, 1]",
        higher_is_better=None,
        cost="1 per image, shared with the curves",
        traps="A property of the model and the image, not of a map.",
        source="softmax of the model's logits",
    ),
    Card(
        name="correct",
        family="run",
        title="Correct",
        measures="Whether the predicted class is the labelled one.",
        unit="",
        range="0 or 1 per image; the accuracy when averaged",
        higher_is_better=None,
        cost="1 per image, shared with the curves",
        traps="Explanations of wrong predictions are explanations too; localization against the label's object then "
        "means little.",
        source="argmax of the model's logits",
    ),
    Card(
        name="tied_fraction",
        family="run",
        title="Tied fraction",
        measures="Share of pixels whose value occurs more than once in the map: what the tie rule decides.",
        unit="",
        range="[0, 1]",
        higher_is_better=None,
        cost="none",
        traps="Counted on the map as it is ranked: rectifying it makes one large tie.",
        source="defined here",
    ),
    Card(
        name="image",
        family="run",
        title="Image used",
        measures="Whether the image could be read and scored.",
        unit="",
        range="1, or undefined with the reason",
        higher_is_better=None,
        cost="none",
        traps="Images left out are counted here, and are in no other number.",
        source="defined here",
    ),
)
