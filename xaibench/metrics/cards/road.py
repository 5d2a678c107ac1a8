"""Remove and debias: curves with imputed pixels: the cards."""

from xaibench.metrics.cards.card import Card

ROAD_PAPER = (
    'Y. Rong, T. Leemann et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022'
)

ROAD = (
    Card(
        name="road",
        family="road",
        title="ROAD combined",
        measures="Half of what the score keeps when the least relevant pixels are imputed rather than the most relevant "
        "ones, (LeRF - MoRF) / 2, averaged over the fractions.",
        unit="",
        range="[-1/2, 1/2] for probabilities; 0 is expected of a map that says nothing",
        higher_is_better=True,
        cost="2 per map and fraction, 14 by default; shared with road_morf and road_lerf of equal settings",
        traps="Imputed pixels hide a hole only where their surroundings do. The size of the noise is in units of the "
        "space in which is imputed. Equal pixels are shuffled; the number of pixels removed is exact. "
        "An image of low confidence has a value near 0 whatever the map.",
        source=f"{ROAD_PAPER}; the combined form is pytorch-grad-cam's",
    ),
    Card(
        name="road_morf",
        family="road",
        title="ROAD, most relevant first",
        measures="Mean score after a fraction of the pixels, the most relevant ones, was imputed from their neighbours.",
        unit="",
        range="[0, 1] for probabilities and accuracy",
        higher_is_better=False,
        cost="1 per map and fraction, 7 by default",
        traps="Depends on the fractions. The authors report accuracy against the label (score=correct, target=label) "
        "over a data set, not the probability of one class.",
        source=ROAD_PAPER,
    ),
    Card(
        name="road_lerf",
        family="road",
        title="ROAD, least relevant first",
        measures="Mean score after a fraction of the pixels, the least relevant ones, was imputed from their neighbours.",
        unit="",
        range="[0, 1] for probabilities and accuracy",
        higher_is_better=True,
        cost="1 per map and fraction, 7 by default",
        traps="The authors' program counts the pixels that are kept (lerf_counts=kept), here it is those that are "
        "removed; the two differ where the fractions are not symmetric about one half. The curve's x is the share "
        "that was kept.",
        source=ROAD_PAPER,
    ),
    Card(
        name="road_percentile",
        family="road",
        title="ROAD combined, by percentiles",
        measures="As road, with the pixels at or above a percentile of the map removed: pytorch-grad-cam's form.",
        unit="",
        range="unbounded for logits; [-1/2, 1/2] for probabilities",
        higher_is_better=True,
        cost="2 per map and percentile, 18 by default",
        traps="Ties decide how much is removed: with more zeros than the percentile asks to keep, everything is. On "
        "a map of 86 % zeros a removal of 20 % removes 100 %. The curve's x is the share that was really removed.",
        source=f"pytorch-grad-cam 1.5.7, after {ROAD_PAPER}",
    ),
)
