"""What is known of every image and map of a run: the cards."""

from xaibench.metrics.cards.card import Card

RUN = (
    Card(
        name="area_error",
        family="run",
        title="Error of the area",
        measures="Within what distance the area of a curve drawn to a precision is expected to lie from the whole curve's.",
        unit="",
        range="at least 0",
        higher_is_better=None,
        cost="none",
        traps="Calibrated, not a bound: about one area in twenty is farther off, mostly of the roughest curves.",
        source="defined here",
    ),
    Card(
        name="forward_passes_saved",
        family="run",
        title="Forward passes saved",
        measures="How many images fewer were put through the model for a curve drawn to a precision than all its points "
        "would have taken.",
        unit="images",
        range="at least 0",
        higher_is_better=None,
        cost="none",
        traps="Against the same steps, with nothing shared between curves.",
        source="defined here",
    ),
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
        traps="Counted on the map as the explainer gives it, signed as a rule; for a metric that rectifies, all that is not "
        "positive is one more tie.",
        source="defined here",
    ),
    Card(
        name="positive_fraction",
        family="run",
        title="Positive fraction",
        measures="Share of pixels with a value above zero: what rectifying leaves of the map. 0 means that the rectified map is "
        "zero everywhere.",
        unit="",
        range="[0, 1]",
        higher_is_better=None,
        cost="none",
        traps="Counted on the map as the explainer gives it, at the image's resolution. What is not above zero is one large tie as "
        "soon as the map is rectified, and a metric that rectifies has no value on a map with nothing above zero.",
        source="defined here",
    ),
    Card(
        name="removal_error",
        family="run",
        title="Removed beyond what was asked",
        measures="Share of pixels that ROAD or ARCC removed less the share it was asked to remove, at the point where the two "
        "differ most.",
        unit="",
        range="[-1, 1]; 0 where exactly the share asked for was removed",
        higher_is_better=None,
        cost="none",
        traps="Whole pixels alone make it some 1 / (number of pixels). With thresholds at percentiles, ties make it large: the "
        "metric's value then is that of another experiment than the one that was asked for.",
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
