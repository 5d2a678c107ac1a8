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
    Card(
        name="efficient_mprt",
        family="sanity",
        title="Rise in entropy",
        measures="By how much, relatively, the entropy of the map's values rises when the whole model is randomized.",
        unit="",
        range="[-1, ∞)",
        higher_is_better=True,
        cost="two explanations per image and seed",
        traps="A map as complex as noise has no room to rise. Depends on the number of bins. No similarity is "
        "involved: a map that changes completely but stays as complex scores 0. Undefined for constant maps.",
        source='A. Hedström et al., "A Fresh Look at Sanity Checks for Saliency Maps", xAI 2024',
    ),
    Card(
        name="random_logit",
        family="sanity",
        title="Other class",
        measures="Similarity of the target's map to the map of another class, drawn at random.",
        unit="",
        range="[-1, 1]",
        higher_is_better=False,
        cost="two explanations per image and seed",
        traps="Classes that share evidence have similar maps for good reason; with two classes, logits that sum to a "
        "constant give exactly opposite signed maps. Noise passes. Read it against the calibration. SSIM is of the "
        "two-dimensional map; on flattened maps it is another number.",
        source='L. Sixt, M. Granz, T. Landgraf, "When Explanations Lie: Why Many Modified BP Attributions Fail", '
        "ICML 2020",
    ),
    Card(
        name="data_randomization",
        family="sanity",
        title="Permuted labels",
        measures="Similarity of the map to that of a network of the same architecture trained on permuted labels.",
        unit="",
        range="[-1, 1]",
        higher_is_better=False,
        cost="one explanation per image and network, and a training for each seed",
        traps="Says nothing unless the network learned the permuted labels by heart: see the training accuracy. Two "
        "honest trainings differ, too: compare with the control trained on true labels.",
        source='J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018',
    ),
    Card(
        name="calibration",
        family="sanity",
        title="Calibration",
        measures="Similarity of two maps that have nothing to do with each other: random maps of the same resolution, "
        "or maps of different images.",
        unit="",
        range="[-1, 1]",
        higher_is_better=None,
        cost="none for random maps, one explanation per image for maps of different images",
        traps="The coarser the map, the wider the band. Random maps are white at the layer's resolution, while real ones "
        "have structure: the band of different images is the stricter one. Both are bands of pairs, not of means.",
        source="xaibench",
    ),
    Card(
        name="coverage",
        family="sanity",
        title="Coverage",
        measures="Share of the numbers in the model's parameters, or in its buffers, that the randomization reaches.",
        unit="",
        range="[0, 1]",
        higher_is_better=None,
        cost="none",
        traps="Reached is not changed: a normalization's initialization or a permuted constant may be what was there. "
        "Buffers reached are running statistics, and change only where batch norm is reset or measured anew.",
        source="xaibench",
    ),
    Card(
        name="training_accuracy",
        family="sanity",
        title="Training accuracy",
        measures="Share of the training images to which the network gives its (true or permuted) label at the end.",
        unit="",
        range="[0, 1]",
        higher_is_better=None,
        cost="none beside the training",
        traps="On permuted labels it measures memory, not knowledge. Below 0.95 there, the data randomization test "
        "compares with a network that learned little.",
        source='J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018',
    ),
)
