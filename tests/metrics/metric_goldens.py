"""Reads a golden file: arrays computed with the original programs, their settings, and the network they ran."""

import collections
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

DATA = Path(__file__).parents[1] / "data"


class Golden:
    """One golden file; arrays come as tensors, floats in double precision."""

    def __init__(self, name):
        with np.load(DATA / f"{name}.npz") as stored:
            self.arrays = {key: stored[key] for key in stored.files if key != "meta"}
            self.meta = json.loads(str(stored["meta"]))
        self.cases = self.meta["cases"]

    def __getitem__(self, key):
        array = torch.from_numpy(self.arrays[key])
        return array.double() if array.is_floating_point() else array

    def network(self, dtype=torch.float64):
        layers = [(name, getattr(nn, kind)(**arguments)) for name, kind, arguments in self.meta["net"]["layers"]]
        network = nn.Sequential(collections.OrderedDict(layers))
        network.load_state_dict(
            {key[4:]: torch.from_numpy(value) for key, value in self.arrays.items() if key.startswith("net.")}
        )
        return network.to(dtype).eval()
