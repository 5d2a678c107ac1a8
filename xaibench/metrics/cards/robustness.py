"""How the map changes with the image: the cards."""

from xaibench.metrics.cards.card import Card

YEH = 'C.-K. Yeh et al., "On the (In)fidelity and Sensitivity of Explanations", NeurIPS 2019'
AGARWAL = 'C. Agarwal et al., "Rethinking Stability for Attribution-based Explanations", ICLR workshop 2022'
DRAWS = "More draws find larger values, so compare equal numbers, radii and distributions only. "

ROBUSTNESS = (
    Card(
        name="max_sensitivity",
        family="robustness",
        title="Max-sensitivity",
        measures="Largest change of the map, relative to its norm, among images slightly changed at random.",
        unit="",
        range="at least 0",
        higher_is_better=False,
        cost="n_draws explanations per image, shared by the layers",
        traps=DRAWS
        + "An explainer that ignores the image scores 0. A map should change where the model's answer does. The "
        "radius is in normalized units; Quantus' default is ten times Captum's. Undefined for a map of zeros.",
        source=YEH,
    ),
    Card(
        name="avg_sensitivity",
        family="robustness",
        title="Average sensitivity",
        measures="Mean change of the map, relative to its norm, among images slightly changed at random.",
        unit="",
        range="at least 0",
        higher_is_better=False,
        cost="n_draws explanations per image, shared by the layers",
        traps="An explainer that ignores the image scores 0. Depends on radius and distribution, in normalized units. "
        "Undefined for a map of zeros.",
        source=YEH,
    ),
    Card(
        name="local_lipschitz",
        family="robustness",
        title="Local Lipschitz",
        measures="Steepest change of the map per change of the image, among images slightly changed at random.",
        unit="",
        range="at least 0, in units of the map",
        higher_is_better=False,
        cost="n_draws explanations per image, shared by the layers",
        traps="Has the map's own scale: methods and layers of different scale cannot be compared. "
        + DRAWS
        + "A sample gives "
        "a lower bound of the paper's maximum.",
        source='D. Alvarez-Melis and T. S. Jaakkola, "On the Robustness of Interpretability Methods", ICML workshop 2018',
    ),
    Card(
        name="relative_input_stability",
        family="robustness",
        title="Relative input stability",
        measures="Largest relative change of the map over the relative change of the image, pixel by pixel, among slightly "
        "changed images of the same predicted class.",
        unit="",
        range="at least 0",
        higher_is_better=False,
        cost="n_draws explanations and n_draws + 1 passes per image, shared by the layers",
        traps=DRAWS
        + "Pixels where the map is nearly zero decide the value; exact zeros are left out, unless eps_min is given "
        "as in the authors' code and in Quantus. Normalized images have values near zero, too.",
        source=AGARWAL,
    ),
    Card(
        name="relative_output_stability",
        family="robustness",
        title="Relative output stability",
        measures="Largest relative change of the map over the change of the logits, among slightly changed images of the same "
        "predicted class.",
        unit="",
        range="at least 0, per unit of the logits",
        higher_is_better=False,
        cost="n_draws explanations and n_draws + 1 passes per image, shared by the layers",
        traps=DRAWS
        + "Pixels where the map is nearly zero decide the value; exact zeros are left out, unless eps_min is "
        "given. Not comparable between models of different logit scales.",
        source=AGARWAL,
    ),
)
