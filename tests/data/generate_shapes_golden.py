"""Write shapes_golden.npz anew, deliberately: only when `GENERATOR_VERSION` changes.

    python tests/data/generate_shapes_golden.py

The file in the repository came from numpy 2.4.6 on x86-64.
"""

from pathlib import Path

import numpy as np

from xaibench.data.shapes import GENERATOR_VERSION, VARIANTS, Shapes

if __name__ == "__main__":
    samples = {variant: Shapes(n=4, seed=7, variant=variant, size=64)[3] for variant in VARIANTS}
    np.savez_compressed(
        Path(__file__).with_name("shapes_golden.npz"),
        version=GENERATOR_VERSION,
        **{f"{variant}_image": sample.image for variant, sample in samples.items()},
        **{f"{variant}_masks": sample.masks for variant, sample in samples.items()},
        **{f"{variant}_labels": np.array(sample.labels) for variant, sample in samples.items()},
    )
