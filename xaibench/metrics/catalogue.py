"""All metrics of attributions by name: the settings object of each, which is also the schema of its configuration."""

from xaibench.metrics.adcc import ADCC
from xaibench.metrics.aopc import AOPC
from xaibench.metrics.arcc import ARCC
from xaibench.metrics.best_iou import BestIoU
from xaibench.metrics.coherency import Coherency
from xaibench.metrics.complexity import EffectiveComplexity, GiniSparseness, MapEntropy
from xaibench.metrics.complexity_adcc import ComplexityADCC
from xaibench.metrics.curve import CurveMetric
from xaibench.metrics.data_randomization import DataRandomization
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.drop_in_deletion import DropInDeletion
from xaibench.metrics.efficient_mprt import EfficientMPRT
from xaibench.metrics.energy import EnergyInMask
from xaibench.metrics.faithfulness_correlation import FaithfulnessCorrelation
from xaibench.metrics.faithfulness_estimate import FaithfulnessEstimate
from xaibench.metrics.flip_fraction import FlipFraction
from xaibench.metrics.gain import AverageGain
from xaibench.metrics.incremental_deletion import IncrementalDeletion
from xaibench.metrics.infidelity import Infidelity
from xaibench.metrics.information_curves import AIC, SIC
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.irof import IROF
from xaibench.metrics.lipschitz import LocalLipschitz
from xaibench.metrics.map_scores import ExplainerMetric, MapMetric, ModelMetric
from xaibench.metrics.masking import AverageDrop, IncreaseInConfidence
from xaibench.metrics.monotonicity import Monotonicity
from xaibench.metrics.mu_fidelity import MuFidelity
from xaibench.metrics.parameter_randomization import ParameterRandomization
from xaibench.metrics.pixel_flipping import PixelFlipping
from xaibench.metrics.pointing_game import PointingGame
from xaibench.metrics.random_logit import RandomLogit
from xaibench.metrics.region_perturbation import RegionPerturbation
from xaibench.metrics.relative_stability import RelativeInputStability, RelativeOutputStability
from xaibench.metrics.relevance_gain import LRG, MRG, SRG
from xaibench.metrics.removal_orders import AreaBetweenCurves, LeRF, MoRF
from xaibench.metrics.road import ROAD, ROADLeRF, ROADMoRF
from xaibench.metrics.road_percentile import ROADPercentile
from xaibench.metrics.sensitivity import AvgSensitivity, MaxSensitivity
from xaibench.metrics.sensitivity_n import SensitivityN
from xaibench.metrics.single_deletion import SingleDeletion

MaskingMetric = AverageDrop | IncreaseInConfidence | AverageGain | DropInDeletion
LocalizationMetric = PointingGame | EnergyInMask | BestIoU

# drawn by perturbation.perturbation_curves, all of them in one queue
CURVES: dict[str, type[CurveMetric]] = {
    "deletion": Deletion,
    "insertion": Insertion,
    "morf": MoRF,
    "lerf": LeRF,
    "area_between_curves": AreaBetweenCurves,
    "aopc": AOPC,
    "flip_fraction": FlipFraction,
    "road": ROAD,
    "road_morf": ROADMoRF,
    "road_lerf": ROADLeRF,
    "region_perturbation": RegionPerturbation,
    "irof": IROF,
    "srg": SRG,
    "mrg": MRG,
    "lrg": LRG,
    "incremental_deletion": IncrementalDeletion,
}
# computed from masking.masked_scores
MASKING: dict[str, type[MaskingMetric]] = {
    "average_drop": AverageDrop,
    "increase_in_confidence": IncreaseInConfidence,
    "average_gain": AverageGain,
    "drop_in_deletion": DropInDeletion,
}
# called with attributions and object masks
LOCALIZATION: dict[str, type[LocalizationMetric]] = {
    "pointing_game": PointingGame,
    "energy_in_mask": EnergyInMask,
    "best_iou": BestIoU,
}
# map_scores.ModelMetric: they ask the model about changed images of their own
MODEL: dict[str, type[ModelMetric]] = {
    "pixel_flipping": PixelFlipping,
    "single_deletion": SingleDeletion,
    "road_percentile": ROADPercentile,
}
# map_scores.MapMetric: of the map alone
MAP: dict[str, type[MapMetric]] = {
    "gini_sparseness": GiniSparseness,
    "map_entropy": MapEntropy,
    "effective_complexity": EffectiveComplexity,
    "complexity_adcc": ComplexityADCC,
}
# map_scores.ExplainerMetric: they explain changed images again
EXPLAINER: dict[str, type[ExplainerMetric]] = {"coherency": Coherency, "adcc": ADCC, "arcc": ARCC}
# map_scores.ModelMetric: relevance against the score's change
CORRELATION: dict[str, type[ModelMetric]] = {
    "faithfulness_correlation": FaithfulnessCorrelation,
    "sensitivity_n": SensitivityN,
    "mu_fidelity": MuFidelity,
    "infidelity": Infidelity,
    "faithfulness_estimate": FaithfulnessEstimate,
    "monotonicity": Monotonicity,
}
# map_scores.ModelMetric: curves over the information left in the image; both come from one call of information_curves
INFORMATION: dict[str, type[ModelMetric]] = {"sic": SIC, "aic": AIC}
# map_scores.ExplainerMetric: the map's change with the image's
ROBUSTNESS: dict[str, type[ExplainerMetric]] = {
    "max_sensitivity": MaxSensitivity,
    "avg_sensitivity": AvgSensitivity,
    "local_lipschitz": LocalLipschitz,
    "relative_input_stability": RelativeInputStability,
    "relative_output_stability": RelativeOutputStability,
}
METRICS: dict[str, type] = {
    **CURVES,
    **MASKING,
    **LOCALIZATION,
    **MODEL,
    **CORRELATION,
    **INFORMATION,
    **MAP,
    **EXPLAINER,
    **ROBUSTNESS,
}

# the sanity checks, which compare maps of the model with maps of another one; shards/sanity.py runs them
SANITY: dict[str, type] = {
    "parameter_randomization": ParameterRandomization,
    "efficient_mprt": EfficientMPRT,
    "random_logit": RandomLogit,
    "data_randomization": DataRandomization,
}
