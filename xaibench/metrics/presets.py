"""Named conventions: the exact curves of a paper or library, as (deletion, insertion)."""

from xaibench.metrics.baselines import RiseBlur, Zero
from xaibench.metrics.curve import Curve
from xaibench.metrics.ordering import Order
from xaibench.metrics.steps import EqualSteps, PixelSteps

# RISE's notebook for data sets: 1792 px a step, 28 steps of a 224 × 224 image; equal pixels in reversed raster order
RISE = (
    Curve("deletion", "deletion", Zero(), PixelSteps(1792)),
    Curve("insertion", "insertion", RiseBlur(), PixelSteps(1792)),
)
# torch-cam 0.5: zeros for both, true fractions, equal pixels in raster order; its default score is the raw logit.
# Its steps are ceil(pixels / 20) pixels, which is this where 20 divides the image
TORCHCAM = tuple(
    Curve(direction, direction, Zero(), EqualSteps(20), Order(ties="raster"), score="logit", area="trapezoid")
    for direction in ("deletion", "insertion")
)

PRESETS: dict[str, tuple[Curve, ...]] = {"rise": RISE, "torchcam": TORCHCAM}
