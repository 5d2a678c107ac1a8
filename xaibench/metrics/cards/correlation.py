"""Does relevance go with the score's change? Correlation and regression: the cards."""

from xaibench.metrics.cards.card import Card

OUTSIDE = "Changed images leave the training distribution. "

CORRELATION = (
    Card(
        name="faithfulness_correlation",
        family="correlation",
        title="Faithfulness correlation",
        measures="Pearson correlation, over random sets of pixels, of their summed relevance with the drop of the score "
        "when they are removed.",
        unit="",
        range="[-1, 1]",
        higher_is_better=True,
        cost="n_subsets + 1 per image, shared by all its maps",
        traps="Small sets of a large image hardly move the score: the correlation is near 0 for every map, and that of "
        "rounding where the probability is saturated. " + OUTSIDE + "Depends on subset size, baseline and "
        "score; 100 subsets leave a standard error of 0.1.",
        source='U. Bhatt et al., "Evaluating and Aggregating Feature-based Model Explanations", IJCAI 2020',
    ),
    Card(
        name="sensitivity_n",
        family="correlation",
        title="Sensitivity-n",
        measures="Mean over several n of the Pearson correlation, over random sets of n pixels, of summed relevance with "
        "the drop of the score; the curve over n is kept.",
        unit="",
        range="[-1, 1]",
        higher_is_better=True,
        cost="n_subsets for each n, + 1 per image, shared by all its maps",
        traps="The mean over n is defined here; the paper shows the curve. For n of a few pixels the correlation is near 0. "
        + OUTSIDE
        + "Undefined as a whole where it is for one n.",
        source='M. Ancona et al., "Towards better understanding of gradient-based attribution methods for Deep Neural '
        'Networks", ICLR 2018',
    ),
    Card(
        name="mu_fidelity",
        family="correlation",
        title="µ-fidelity",
        measures="Rank correlation, over random sets of grid cells, of their summed relevance with the drop of the score.",
        unit="",
        range="[-1, 1]",
        higher_is_better=True,
        cost="n_samples + 1 per image, shared by all its maps",
        traps="Where the number of removed cells varies, a map of one sign gains by that alone, as more cells cost more. "
        "Undefined correlations are not counted as 0, as xplique does. " + OUTSIDE + "Depends on grid, share, "
        "baseline and score.",
        source='T. Fel et al., "How Good is your Explanation? Algorithmic Stability Measures to Assess the Quality of '
        'Explanations for Deep Neural Networks", WACV 2022',
    ),
    Card(
        name="infidelity",
        family="correlation",
        title="Infidelity",
        measures="Mean squared difference between what the map predicts a perturbation to do to the score, and what it does.",
        unit="",
        range="at least 0, in squared units of the score",
        higher_is_better=False,
        cost="n_samples + 1 per image, shared by all its maps",
        traps="Not comparable between models or images of different score ranges. Unless normalized it depends on the map's "
        "scale. Normalized, the best scale may be negative: a map and its negative have the same value. A map that "
        "predicts nothing has the mean squared change of the score.",
        source='C.-K. Yeh et al., "On the (In)fidelity and Sensitivity of Explanations", NeurIPS 2019',
    ),
    Card(
        name="faithfulness_estimate",
        family="correlation",
        title="Faithfulness estimate",
        measures="Pearson correlation, over the map's own groups of pixels in the order of relevance, of summed relevance "
        "with the drop of the score when the group alone is removed.",
        unit="",
        range="[-1, 1]",
        higher_is_better=True,
        cost="ceil(pixels / step_px) per map, + 1 per image",
        traps="Groups differ from map to map, in shape too: one compact hole costs more than scattered pixels. A few groups "
        "of large relevance decide. Equal pixels are grouped by the tie rule. " + OUTSIDE.strip(),
        source='D. Alvarez-Melis and T. S. Jaakkola, "Towards Robust Interpretability with Self-Explaining Neural '
        'Networks", NeurIPS 2018',
    ),
    Card(
        name="monotonicity",
        family="correlation",
        title="Monotonicity",
        measures="Whether the score never falls while pixels are put into a baseline, the least relevant first; or the share "
        "of steps that do not lower it.",
        unit="",
        range="0 or 1 per image; in [0, 1] as a share",
        higher_is_better=True,
        cost="ceil(pixels / step_px) per map; the complete image is shared by all maps",
        traps="The strict answer is 0 for nearly every photograph: take the share. Pixels of negative relevance come first, "
        "and should lower the score. Depends on step, baseline and tie rule.",
        source='V. Arya et al., "One Explanation Does Not Fit All: A Toolkit and Taxonomy of AI Explainability Techniques", '
        "2019",
    ),
)
