"""Curves over removed or inserted pixels: the cards."""

from xaibench.metrics.cards.card import Card

RISE = 'V. Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018'
SAMEK = (
    'W. Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned", IEEE Transactions on Neural '
    "Networks and Learning Systems 28(11), 2017"
)
BACH = (
    'S. Bach et al., "On Pixel-wise Explanations for Non-linear Classifier Decisions by Layer-wise Relevance Propagation", '
    "PLoS ONE 10(7), 2015"
)
ONE_CURVE = "ceil(pixels / step) + 1 per map; the clean and the fully removed image are shared by all maps of an image"

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
    Card(
        name="morf",
        family="curves",
        title="MoRF",
        measures="Area under the target's score while pixels are removed, most relevant first: low if the map finds what "
        "the model needs.",
        unit="",
        range="[0, 1] for probabilities",
        higher_is_better=False,
        cost=ONE_CURVE,
        traps="Deletion by another name, with the trapezoid over the true fractions. Depends on the baseline as deletion "
        "does; two maps can change places where the baseline changes.",
        source=SAMEK,
    ),
    Card(
        name="lerf",
        family="curves",
        title="LeRF",
        measures="Area under the target's score while pixels are removed, least relevant first: high if what the map leaves "
        "out does not matter.",
        unit="",
        range="[0, 1] for probabilities",
        higher_is_better=True,
        cost=ONE_CURVE,
        traps="A rectified map is zero over much of the image, so the order among equal pixels decides the first half of "
        "this curve.",
        source=SAMEK,
    ),
    Card(
        name="area_between_curves",
        family="curves",
        title="Area between curves",
        measures="Area of LeRF less area of MoRF: how much later the score falls if the map's order is turned round.",
        unit="",
        range="[-1, 1] for probabilities; 0 for a map that says nothing",
        higher_is_better=True,
        cost="two curves per map, whose ends are shared: 2 (ceil(pixels / step) - 1) and the clean and the fully removed "
        "image",
        traps="Less dependent on the baseline than either curve, not independent of it. Under a rule that averages points "
        "the two common ends, where the difference is 0, pull the value towards 0.",
        source=SAMEK + "; as a difference: S. Bluecher, J. Vielhaben, N. Strodthoff, "
        '"Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI Benchmarks", TMLR 2024',
    ),
    Card(
        name="aopc",
        family="curves",
        title="AOPC",
        measures="Clean score less score, averaged over the points of the curve, most relevant pixels removed first: high if "
        "the score falls soon.",
        unit="",
        range="[-1, 1] for probabilities",
        higher_is_better=True,
        cost=ONE_CURVE,
        traps="The clean image counts as a point of drop 0. A confident image can fall further, so the values of images are "
        "not on one scale. The paper's setting is 100 regions of 9 × 9 pixels, filled with noise.",
        source=SAMEK,
    ),
    Card(
        name="flip_fraction",
        family="curves",
        title="Flip fraction",
        measures="Share of pixels, most relevant first, that must be removed until the model predicts another class.",
        unit="",
        range="(0, 1]",
        higher_is_better=False,
        cost=ONE_CURVE,
        traps="As coarse as the steps. Undefined where the target is not the predicted class and where the prediction never "
        "changes; the latter happens to the worst maps and to baselines that look like the class, so a mean over the rest "
        "flatters. Looks at the first change only: the class may come back.",
        source=BACH,
    ),
    Card(
        name="pixel_flipping",
        family="curves",
        title="Pixel flipping",
        measures="Area under the target's score while single channel values are flipped, most relevant first, as Quantus has "
        "it: not divided by the number of steps.",
        unit="",
        range="[0, number of steps - 1] for probabilities",
        higher_is_better=False,
        cost="ceil(3 pixels / features_in_step) per map; the fully flipped image is shared by all maps of an image",
        traps="Grows with the number of steps, so only equal settings and image sizes compare. The clean image is not in "
        "the curve. Flipping one channel of a pixel makes colours that no photograph has.",
        source=BACH + '; as implemented in A. Hedström et al., "Quantus", JMLR 24(34), 2023',
    ),
)
