"""Published conventions by name: the settings with which a paper's authors or a library compute their numbers.

Each preset maps metrics, by their names in the catalogue, to settings objects; called, they compute. What a setting
cannot say is in `notes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from xaibench.metrics.adcc import ADCC
from xaibench.metrics.arcc import ARCC
from xaibench.metrics.coherency import Coherency
from xaibench.metrics.complexity_adcc import ComplexityADCC
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.drop_in_deletion import DropInDeletion
from xaibench.metrics.gain import AverageGain
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.map_grid import MapGrid
from xaibench.metrics.masking import AverageDrop, IncreaseInConfidence
from xaibench.metrics.ordering import Order
from xaibench.metrics.pixel_flipping import PixelFlipping
from xaibench.metrics.program_baselines import BoxBlur, CutBlur
from xaibench.metrics.region_perturbation import RegionPerturbation
from xaibench.metrics.relevance_gain import LRG, MRG, SRG
from xaibench.metrics.removal_orders import AreaBetweenCurves, LeRF, MoRF
from xaibench.metrics.road import ROAD, ROADLeRF, ROADMoRF
from xaibench.metrics.road_percentile import ROADPercentile
from xaibench.metrics.steps import ChunkSteps, FractionSteps, LinspaceSteps, PointSteps
from xaibench.names import pick


@dataclass(frozen=True)
class Preset:
    """One program's conventions.

    Attributes
    ----------
    source : str
        Paper or program.
    version : str
        The version or revision that was read and compared.
    golden : str
        The stored numbers of the original program that a test compares with.
    metrics : dict
        Settings objects by the metric's name in the catalogue.
    map_grid : MapGrid
        How the program brings a layer's map to the image.
    notes : str
        Where the settings do not tell the whole story.
    """

    source: str
    version: str
    golden: str
    metrics: Mapping[str, Any]
    map_grid: MapGrid = field(default_factory=MapGrid)
    notes: str = ""


FIRST_OF_EQUALS = Order(ties="raster")

RISE = Preset(
    source='V. Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018; eclique/RISE',
    version="d91ea00",
    golden="rise_curves",
    metrics={"deletion": Deletion(step_px=1792), "insertion": Insertion(step_px=1792)},
    notes="1792 px a step is the authors' setting for data sets of 224 × 224 images; for a single image they take 224. "
    "Their sort is not stable, so equal pixels come in the order of the sort's own making; here the later one first.",
)
TORCHCAM = Preset(
    source="torch-cam, DeletionInsertionMetric",
    version="0.5.0",
    golden="deletion_presets",
    metrics={
        name: kind(steps=ChunkSteps(20), baseline="zero", score="logit", area="trapezoid", order=FIRST_OF_EQUALS)
        for name, kind in (("deletion", Deletion), ("insertion", Insertion))
    },
    map_grid=MapGrid("bilinear", rectify="before", min_max="before"),
    notes="Zero is the baseline of both. The default score is the model's raw output.",
)
XPLIQUE = Preset(
    source="deel-ai/xplique, Deletion, Insertion, AverageDrop, AverageIncrease and AverageGain",
    version="0c90fa4",
    golden="xplique",
    metrics={
        "deletion": Deletion(steps=LinspaceSteps(10), score="logit"),
        "insertion": Insertion(steps=LinspaceSteps(10), baseline="zero", score="logit"),
        "average_drop": AverageDrop(score="logit", sign="absolute"),
        "increase_in_confidence": IncreaseInConfidence(score="logit", sign="absolute"),
        "average_gain": AverageGain(score="logit", sign="absolute"),
    },
    map_grid=MapGrid("bicubic", rectify="before"),
    notes="The program keeps the area of the mean curve, which is the mean of these areas; a curve that stops early is not "
    "scaled by the share it covers. The score is the model's output, a probability where its last layer is a softmax.",
)
_PNPXAI: dict[str, Any] = {"steps": PointSteps(10), "area": "mean", "order": FIRST_OF_EQUALS}
PNPXAI = Preset(
    source="pnpxai, MoRF, LeRF and AbPC",
    version="86053ea",
    golden="deletion_presets",
    metrics={
        "morf": MoRF(**_PNPXAI),
        "lerf": LeRF(**_PNPXAI | {"order": Order(ties="raster", first="least")}),
        "area_between_curves": AreaBetweenCurves(**_PNPXAI),
    },
    notes="Ten points, of which the last jumps from 80 % to 100 %. Both ends, where the curves meet, count in the mean of "
    "their differences. The program clamps each difference at -1, which no probability reaches.",
)
_ATTRIBENCH: dict[str, Any] = {"steps": FractionSteps(100), "baseline": BoxBlur(0.5), "area": "mean"}
ATTRIBENCH = Preset(
    source="AttriBench, deletion and insertion",
    version="4fd284f",
    golden="deletion_presets",
    metrics={
        "deletion": Deletion(**_ATTRIBENCH),
        "lerf": LeRF(**_ATTRIBENCH),
        "insertion": Insertion(**_ATTRIBENCH | {"steps": FractionSteps(100, counted="unchanged")}),
    },
    notes="Any masker (constant, random, blur, mean of samples) and score (linear, softmax, sigmoid) can be chosen; the "
    "blur and the softmax are taken here. Its order among equal pixels is not known; here the later one first.",
)
LATEC = Preset(
    source="IML-DKFZ/latec, insertion_deletion.py",
    version="8a03127",
    golden="deletion_presets",
    metrics={
        "deletion": Deletion(step_px=50, endpoints="neither", area="point_trapezoid"),
        "insertion": Insertion(
            step_px=50, baseline=CutBlur(15, 5.0), endpoints="neither", area="point_trapezoid"
        ),
    },
    notes="Its configurations' 50 px a step and blur of 15 px; the class's own defaults are 10 and 9. Its order among equal "
    "pixels is that of torch.topk, which is not specified; here the later one first.",
)  # fmt: skip
QUANTUS = Preset(
    source="Quantus, PixelFlipping and RegionPerturbation",
    version="0.6.0",
    golden="deletion_presets",
    metrics={
        "pixel_flipping": PixelFlipping(features_in_step=224),
        "region_perturbation": RegionPerturbation(
            side_px=8, n_regions=100, baseline="minimum", repeats=1, score="probability"
        ),
    },
    notes="224 values a step, chosen here: its default, 1, costs 150,528 forward passes for a 224 × 224 image. "
    "Its sort is not stable; here equal values follow each other as channel, row, column. Of regions it gives the drops "
    "alone; here they are also averaged, with the clean image's 0.",
)
PYTORCH_GRAD_CAM = Preset(
    source="pytorch-grad-cam, ROADCombined, DropInConfidence, IncreaseInConfidence and ARCC",
    version="1.5.7",
    golden="road_percentile_variant",
    metrics={
        "road_percentile": ROADPercentile(),
        "average_drop": AverageDrop(score="logit", relative=False),
        "increase_in_confidence": IncreaseInConfidence(score="logit"),
        "arcc": ARCC(),
    },
    map_grid=MapGrid("bilinear", rectify="before", min_max="both"),
    notes="Thresholds at percentiles: on a map with ties far more is removed than asked for. The noise of the imputation is "
    "that of the tensor given, normalized as a rule; the program draws it anew each time, and its stored numbers are without "
    "noise: compared with noise=0. A map of zeros has numbers there, and is undefined here.",
)
ROAD_AUTHORS = Preset(
    source='Y. Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022; '
    "tleemann/road_evaluation",
    version="e6b9987",
    golden="road",
    metrics={
        "road_morf": ROADMoRF(score="correct", lerf_counts="kept"),
        "road_lerf": ROADLeRF(score="correct", lerf_counts="kept"),
        "road": ROAD(score="correct", lerf_counts="kept"),
    },
    notes="Accuracy is of the label: take target=label. The authors impute in pixel space, which NoisyLinear(std=…) repeats; "
    "the stored numbers are without noise: compared with NoisyLinear(noise=0). They break ties by a jitter that all images "
    "share, and combine nothing: `road` is the form of pytorch-grad-cam.",
)
ADCC_AUTHORS = Preset(
    source='S. Poppi et al., "Revisiting The Evaluation of Class Activation Mapping for Explainability", CVPR Workshops '
    "2021; aimagelab/ADCC",
    version="e52dadf",
    golden="drop_and_adcc",
    metrics={
        "adcc": ADCC(),
        "average_drop": AverageDrop(),
        "coherency": Coherency(),
        "complexity_adcc": ComplexityADCC(),
    },
    map_grid=MapGrid("bilinear", rectify="before", min_max="after"),
    notes="One value per image. For a class that is not the predicted one the authors subtract two classes' probabilities.",
)
SHAPLEYCAM = Preset(
    source="ShapleyCAM's evaluation program",
    version="ee02cce",
    golden="drop_and_adcc",
    metrics={
        "average_drop": AverageDrop(),
        "increase_in_confidence": IncreaseInConfidence(),
        "drop_in_deletion": DropInDeletion(),
        "coherency": Coherency(),
        "complexity_adcc": ComplexityADCC(),
    },
    map_grid=MapGrid("bilinear", rectify="before", min_max="both"),
    notes="Its ADCC is made of the data set's means of drop, coherency and complexity, not the mean of the images' ADCC. "
    "A map of zeros counts as 0 there, and is undefined here.",
)
SRG_AUTHORS = Preset(
    source='S. Bluecher, J. Vielhaben, N. Strodthoff, "Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI '
    'Benchmarks", TMLR 2024; bluecher31/pixel-flipping',
    version="9917139",
    golden="srg",
    metrics={"srg": SRG(), "mrg": MRG(), "lrg": LRG()},
    notes="About 25 superpixels, 15 log-spaced levels. The program subtracts the two curves index by index, though their "
    "fractions differ image by image; the areas, taken over each curve's own, are not concerned. The stored numbers are of "
    "given segments and of each image's mean colour: compared with these in place of SLIC's and of zero.",
)  # fmt: skip

PRESETS: dict[str, Preset] = {
    "rise": RISE,
    "torchcam": TORCHCAM,
    "xplique": XPLIQUE,
    "pnpxai": PNPXAI,
    "attribench": ATTRIBENCH,
    "latec": LATEC,
    "quantus": QUANTUS,
    "pytorch_grad_cam": PYTORCH_GRAD_CAM,
    "road": ROAD_AUTHORS,
    "adcc": ADCC_AUTHORS,
    "shapleycam": SHAPLEYCAM,
    "srg": SRG_AUTHORS,
}


def preset_settings(preset: str, metric: str, **changes: Any) -> Any:
    """Settings of one metric as a preset has them, with some fields changed.

    Parameters
    ----------
    preset : str
        A name in `PRESETS`.
    metric : str
        A metric of the preset, by its name in the catalogue.
    **changes
        Fields of the settings object to change. A way of stepping given here replaces the preset's own.

    Raises
    ------
    ValueError
        If there is no such preset, or it has no such metric.
    TypeError
        If the metric has no such field.
    """
    settings = pick(f"metric of preset {preset}", metric, pick("preset", preset, PRESETS).metrics)
    if "steps" not in changes and changes.keys() & {"step_px", "n_steps"} and hasattr(settings, "steps"):
        changes["steps"] = None
    return replace(settings, **changes)
