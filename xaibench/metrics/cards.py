"""What each metric measures: one text for the report, the command line and the tests. No torch here."""

from dataclasses import dataclass

RISE = 'V. Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018'
GRAD_CAM_PLUS_PLUS = 'A. Chattopadhay et al., "Grad-CAM++", WACV 2018'


@dataclass(frozen=True)
class Card:
    """The facts about one metric.

    Attributes
    ----------
    name : str
        Under which it is recorded and configured.
    title : str
        For a heading or a column.
    measures : str
        What a value says, in a sentence.
    unit : str
        Of a value; "" for a pure number.
    range : str
        In which values lie.
    higher_is_better : bool or None
        None where neither direction is better.
    cost : str
        Images put through the model, per image or map.
    traps : str
        What makes a value misleading or incomparable.
    source : str
        The paper, or where the definition is from.
    """

    name: str
    title: str
    measures: str
    unit: str
    range: str
    higher_is_better: bool | None
    cost: str
    traps: str
    source: str


_ALL = (
    Card(
        name="deletion",
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
    Card(
        name="average_drop",
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
        title="Increase in confidence",
        measures="Whether the image multiplied with its map has a strictly higher target probability than the image.",
        unit="",
        range="0 or 1 per image; a share when averaged",
        higher_is_better=True,
        cost="none beside average drop",
        traps="Nearly impossible for an image of confidence close to 1; says nothing about how much.",
        source=GRAD_CAM_PLUS_PLUS,
    ),
    Card(
        name="pointing_game",
        title="Pointing game",
        measures="Whether the map's largest value lies on the object, or nearer to it than a tolerance.",
        unit="",
        range="0 or 1 per image; a share when averaged",
        higher_is_better=True,
        cost="none",
        traps="A centred blob often hits: compare with the centre reference. The paper's tolerance of 15 px is "
        "large on small images. It presumes that the model looks at the object.",
        source='J. Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016',
    ),
    Card(
        name="energy_in_mask",
        title="Energy in the mask",
        measures="Share of the map's positive relevance that lies on the object.",
        unit="",
        range="[0, 1]",
        higher_is_better=True,
        cost="none",
        traps="A uniform map scores the object's share of the area, so large objects score high: compare with the "
        "random reference. Coarse maps spill over the border. Undefined without positive evidence.",
        source='H. Wang et al., "Score-CAM", CVPR workshops 2020',
    ),
    Card(
        name="best_iou",
        title="Best IoU",
        measures="Intersection over union of the object with the map cut at its best threshold.",
        unit="",
        range="(0, 1]",
        higher_is_better=True,
        cost="none",
        traps="The threshold is chosen with the answer known, per image: an upper bound. No map scores below the "
        "object's share of the image.",
        source='after J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020',
    ),
    Card(
        name="randomization",
        title="Randomization",
        measures="Similarity of the map to the trained model's, after the modules from the output down were "
        "randomized.",
        unit="",
        range="[-1, 1]",
        higher_is_better=False,
        cost="one explanation per image, step and seed",
        traps="Low similarity is necessary, not sufficient: noise passes. Rank correlations of absolute and signed "
        "maps and SSIM disagree; similarity depends on the map's smoothness. Undefined for constant maps.",
        source='J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018',
    ),
    Card(
        name="milliseconds",
        title="Time per image",
        measures="Median wall time of one phase of the explanation path, per image.",
        unit="ms",
        range="above 0",
        higher_is_better=False,
        cost="warm-up and repetitions of the phase",
        traps="Depends on device, threads, batch size and what else the machine does: compare within one run.",
        source="measured here, synchronised and warmed up",
    ),
    Card(
        name="ratio_to_inference",
        title="Ratio to inference",
        measures="Time of a phase over the time of the model's plain forward pass on the same batch.",
        unit="",
        range="above 0",
        higher_is_better=False,
        cost="none beside the times",
        traps="A slow plain pass makes everything else look cheap.",
        source="measured here",
    ),
    Card(
        name="peak_memory_mib",
        title="Peak memory",
        measures="Largest additional memory in use during a phase.",
        unit="MiB",
        range="at least 0",
        higher_is_better=False,
        cost="one repetition of the phase",
        traps="On a CPU it is the process's, with whatever the allocator keeps: an upper bound.",
        source="measured here",
    ),
    Card(
        name="confidence",
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

CARDS: dict[str, Card] = {card.name: card for card in _ALL}
