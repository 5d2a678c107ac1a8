"""The map against the object's mask: the cards."""

from xaibench.metrics.cards.card import Card

LOCALIZATION = (
    Card(
        name="pointing_game",
        family="localization",
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
        family="localization",
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
        family="localization",
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
)
