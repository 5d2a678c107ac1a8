"""What the map owes to what the model learned: the cards."""

from xaibench.metrics.cards.card import Card

SANITY = (
    Card(
        name="parameter_randomization",
        family="sanity",
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
)
