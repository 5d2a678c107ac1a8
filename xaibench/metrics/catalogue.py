"""All metrics of attributions by name: the settings object of each, which is also the schema of its configuration."""

from xaibench.metrics.best_iou import BestIoU
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.energy import EnergyInMask
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.masking import AverageDrop, IncreaseInConfidence
from xaibench.metrics.parameter_randomization import ParameterRandomization
from xaibench.metrics.pointing_game import PointingGame

CurveMetric = Deletion | Insertion
MaskingMetric = AverageDrop | IncreaseInConfidence
LocalizationMetric = PointingGame | EnergyInMask | BestIoU

# drawn by perturbation.perturbation_curves, all of them in one queue
CURVES: dict[str, type[CurveMetric]] = {"deletion": Deletion, "insertion": Insertion}
# computed from masking.masked_scores
MASKING: dict[str, type[MaskingMetric]] = {
    "average_drop": AverageDrop,
    "increase_in_confidence": IncreaseInConfidence,
}
# called with attributions and object masks
LOCALIZATION: dict[str, type[LocalizationMetric]] = {
    "pointing_game": PointingGame,
    "energy_in_mask": EnergyInMask,
    "best_iou": BestIoU,
}
METRICS: dict[str, type] = {**CURVES, **MASKING, **LOCALIZATION}

# the sanity checks, which compare maps of the model with maps of another one; shards/sanity.py runs them
SANITY: dict[str, type] = {"parameter_randomization": ParameterRandomization}
