"""How simple the map is: the cards."""

from xaibench.metrics.cards.card import Card

COMPLEXITY = (
    Card(
        name="gini_sparseness",
        family="complexity",
        title="Gini sparseness",
        measures="How unequally the magnitudes are spread over the pixels.",
        unit="",
        range="[0, 1): 0 if all are equal, 1 - 1/pixels if one pixel has everything",
        higher_is_better=True,
        cost="none",
        traps="Says nothing about the model: a map of one arbitrary pixel is the best. Depends on the upsampling. A "
        "map of zeros is undefined; Quantus, which adds 1e-7, has 0 there.",
        source='P. Chalasani et al., "Concise Explanations of Neural Networks using Adversarial Training", ICML 2020',
    ),
    Card(
        name="map_entropy",
        family="complexity",
        title="Entropy of the map",
        measures="Entropy of the magnitudes as shares of their sum: the logarithm of how many pixels seem to matter.",
        unit="nats",
        range="[0, log pixels]",
        higher_is_better=False,
        cost="none",
        traps="Grows with the image's size: a map of 7 x 7 cells upsampled to 224 x 224 has 6.9 nats more. Says nothing "
        "about the model.",
        source='U. Bhatt, A. Weller, J. M. F. Moura, "Evaluating and Aggregating Feature-based Model Explanations", '
        "IJCAI 2020, where it is called complexity",
    ),
    Card(
        name="effective_complexity",
        family="complexity",
        title="Effective complexity",
        measures="Number of pixels whose magnitude is above a threshold, by default 1e-5 of the map's largest.",
        unit="px",
        range="0 to the number of pixels",
        higher_is_better=False,
        cost="none",
        traps="Depends on the threshold, and on the map's scale where that is absolute; nearly every pixel of a signed "
        "map passes. The paper's own definition asks the model, which this one, common in programs, does not.",
        source='after A. Nguyen, M. R. Martínez, "On quantitative aspects of model interpretability", 2020',
    ),
)
