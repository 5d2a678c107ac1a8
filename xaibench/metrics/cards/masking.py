"""The image multiplied with its map: the cards."""

from xaibench.metrics.cards.card import Card

GRAD_CAM_PLUS_PLUS = 'A. Chattopadhay et al., "Grad-CAM++", WACV 2018'

ADCC_PAPER = (
    'S. Poppi, M. Cornia, L. Baraldi, R. Cucchiara, "Revisiting The Evaluation of Class Activation Mapping for '
    'Explainability: A Novel Metric and Experimental Analysis", CVPR Workshops 2021'
)

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
    Card(
        name="average_gain",
        family="masking",
        title="Average gain",
        measures="Share of the probability missing to 1 that the image multiplied with its map wins.",
        unit="",
        range="[0, 1]",
        higher_is_better=True,
        cost="none beside average drop of equal settings",
        traps="Meaningless for logits, which have no 1 to reach. Large for an image of high confidence that gains next to "
        "nothing; undefined at confidence 1.",
        source='H. Zhang et al., "Opti-CAM: Optimizing saliency maps for interpretability", Computer Vision and Image '
        "Understanding 248, 2024",
    ),
    Card(
        name="drop_in_deletion",
        family="masking",
        title="Average drop in deletion",
        measures="Share of the target's probability that is lost when the image is multiplied with 1 - map.",
        unit="",
        range="[0, 1]",
        higher_is_better=True,
        cost="1 per map and 1 per image",
        traps="A map that is high everywhere takes everything away and is the best. The product is taken in normalized space.",
        source='H. Jung, Y. Oh, "Towards Better Explanations of Class Activation Mapping", ICCV 2021',
    ),
    Card(
        name="coherency",
        family="masking",
        title="Coherency",
        measures="Correlation between the map and the map of the image multiplied with it, brought to [0, 1]: (r + 1) / 2.",
        unit="",
        range="[0, 1]; 1/2 for unrelated maps",
        higher_is_better=True,
        cost="the explainer once more, for each layer",
        traps="An explainer that ignores the image has 1. Undefined where the masked image's map has no positive "
        "evidence; programs have 0 or 1/2 there.",
        source=ADCC_PAPER,
    ),
    Card(
        name="complexity_adcc",
        family="masking",
        title="Complexity (ADCC)",
        measures="How much of the image the map claims: the mean of the rectified map, stretched to [0, 1].",
        unit="",
        range="(0, 1)",
        higher_is_better=False,
        cost="none",
        traps="One bright pixel stretches all others down. Says nothing about the model.",
        source=ADCC_PAPER,
    ),
    Card(
        name="adcc",
        family="masking",
        title="ADCC",
        measures="Harmonic mean of coherency, 1 - complexity and 1 - average drop.",
        unit="",
        range="[0, 1]",
        higher_is_better=True,
        cost="1 per map, 1 per image, and the explainer once more for each layer",
        traps="The mean over images is not the ADCC of the three means, which some papers state; the two differ widely. "
        "Undefined where one of the three is; a program that counts 0 there has a lower mean.",
        source=ADCC_PAPER,
    ),
    Card(
        name="arcc",
        family="masking",
        title="ARCC",
        measures="Harmonic mean of coherency, 1 - complexity and twice ROAD combined, clipped to [0, 1].",
        unit="",
        range="[0, 1]",
        higher_is_better=True,
        cost="8 per map, and the explainer once more for each layer",
        traps="0 for every map whose ROAD is not positive, whatever the rest. Its ROAD is that of percentiles, which removes "
        "more than asked for where maps have ties.",
        source="pytorch-grad-cam 1.5.7, which refers to arXiv 2605.14641",
    ),
)
