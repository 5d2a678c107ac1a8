"""Curves over regions: segments, patches and cells: the cards."""

from xaibench.metrics.cards.card import Card

SAMEK = (
    'W. Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned", IEEE Transactions on '
    "Neural Networks and Learning Systems 28(11), 2017"
)
RIEGER = (
    'L. Rieger, L. K. Hansen, "IROF: a low resource evaluation metric for explanation methods", ICLR Workshop AI for '
    "Affordable Healthcare, 2020"
)
BLUECHER = (
    'S. Blücher et al., "Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI Benchmarks", Transactions '
    "on Machine Learning Research, 2024"
)
HESSE = (
    'R. Hesse, S. Schaub-Meyer, S. Roth, "Benchmarking the Attribution Quality of Vision Models", NeurIPS 2024, Datasets '
    "and Benchmarks"
)

REGIONS: tuple[Card, ...] = (
    Card(
        name="region_perturbation",
        family="regions",
        title="Region perturbation (AOPC)",
        measures="How far the score falls, on average over the steps, while square patches are replaced by noise, most "
        "relevant first.",
        unit="",
        range="unbounded for logits; [-1, 1] for probabilities",
        higher_is_better=True,
        cost="(regions + 1) × repeats per map; the clean image is shared by all maps of an image",
        traps="In logits the scale is the model's, so images and models do not compare. 100 patches of 9 × 9 are 16 % of a "
        "224 × 224 image, but all of a small one. Depends on patch, number of regions and baseline. With order.first: "
        "least the direction turns round.",
        source=SAMEK,
    ),
    Card(
        name="irof",
        family="regions",
        title="IROF",
        measures="Area above the target's probability, relative to the clean image's, while superpixels are removed, most "
        "relevant first.",
        unit="",
        range="at most 1; below 0 where the probability rises above the clean image's",
        higher_is_better=True,
        cost="one more than the image's superpixels per map; the clean and the fully removed image are shared by all maps "
        "of an image",
        traps="Divides by the clean probability: images of low confidence weigh much and can be far below 0. Superpixels "
        "follow colour edges, which favours maps that do. Quantus counts in segments (unit: segments) and leaves out "
        "the clean point.",
        source=RIEGER,
    ),
    Card(
        name="srg",
        family="regions",
        title="Symmetric relevance gain",
        measures="Area under the score with the least relevant superpixels removed first, less the area with the most "
        "relevant first. 0 for a map that says nothing.",
        unit="",
        range="[-1, 1] for probabilities",
        higher_is_better=True,
        cost="about 2 × 12 × draws of the baseline per map (25 superpixels); the clean and the fully removed image are "
        "shared by all maps of an image",
        traps="Cannot exceed what the image leaves between clean and occluded score. The two orders occlude different "
        "shares of the image at the same number of superpixels; areas are over shares. The authors' program averages "
        "curves over images first and subtracts them point by point although their shares differ: its number was seen to "
        "differ by 0.05 on five images.",
        source=BLUECHER,
    ),
    Card(
        name="mrg",
        family="regions",
        title="Most influential first's gain",
        measures="Area under the score with superpixels removed in random order, less the area with the most relevant "
        "removed first.",
        unit="",
        range="[-1, 1] for probabilities",
        higher_is_better=True,
        cost="about 12 × draws of the baseline per map and 12 × draws × random orders per image (25 superpixels)",
        traps="The random reference is drawn: with two orders its error is large on a single image and the same for all "
        "maps of that image. Ranks maps differently for different baselines; SRG does so less.",
        source=BLUECHER,
    ),
    Card(
        name="lrg",
        family="regions",
        title="Least influential first's gain",
        measures="Area under the score with the least relevant superpixels removed first, less the area in random order.",
        unit="",
        range="[-1, 1] for probabilities",
        higher_is_better=True,
        cost="about 12 × draws of the baseline per map and 12 × draws × random orders per image (25 superpixels)",
        traps="As for the most influential first's gain. SRG is the sum of the two.",
        source=BLUECHER,
    ),
    Card(
        name="single_deletion",
        family="regions",
        title="Single deletion",
        measures="Rank correlation, over the cells of a grid, of the relevance in a cell with the fall of the score when "
        "that cell alone is removed.",
        unit="",
        range="[-1, 1]",
        higher_is_better=True,
        cost="cells + 1 per image, shared by its maps",
        traps="Of 16 cells, a correlation of 0.5 is barely significant for one image. The authors fine-tune the model "
        "with cells removed; without that a hole is out of distribution. A cell that matters only together with "
        "another one shows no effect alone.",
        source=HESSE,
    ),
    Card(
        name="incremental_deletion",
        family="regions",
        title="Incremental deletion",
        measures="Mean score while pixels are removed in equal steps, most relevant first.",
        unit="",
        range="[0, 1] for probabilities",
        higher_is_better=False,
        cost="steps - 1 per map; the clean image is shared by all maps of an image",
        traps="The clean image counts, the fully removed one does not, so values are slightly above deletion's area. With "
        "order.first: least the direction turns round.",
        source=HESSE,
    ),
)
