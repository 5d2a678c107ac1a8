"""Small classifiers for the tests of whole runs, named there as ``own_models:FUNCTION``."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from xaibench.data.outlines import CLASSES
from xaibench.models.classifier import Classifier
from xaibench.models.preprocessing import Preprocessing

# choices that make a run of seconds
SMALL_RUN = (
    "model=own_models:small",
    "layers=[conv1,relu2]",
    "data.n=6",
    "data.size=32",
    "curve_steps=3",
    "shard_size=2",
    "sanity.parameter_randomization.n_images=2",
    "sanity.parameter_randomization.seeds=[0,1]",
    "sanity.parameter_randomization.granularity=module",
    "timing=none",
    "out=run",
)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE_PX = 32


def network() -> nn.Module:
    """Two stages of convolution, norm and ReLU in place, global pooling, one linear layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = OrderedDict(
            conv1=nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            bn1=nn.BatchNorm2d(8),
            relu1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
            bn2=nn.BatchNorm2d(16),
            relu2=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            fc=nn.Linear(16, len(CLASSES)),
        )
        return nn.Sequential(layers).eval()


def classifier(made: nn.Module) -> Classifier:
    return Classifier("own", made, Preprocessing(SIDE_PX, SIDE_PX, MEAN, STD), tuple(CLASSES), "seeded", "digest")


def small() -> Classifier:
    return classifier(network())


def bare() -> nn.Module:
    return network()


class NaNOnRed(nn.Module):
    """Breaks down on images whose mean red is high."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor) -> Tensor:
        red = images[:, 0].mean(dim=(1, 2))
        return self.network(images).masked_fill((red > 0.5)[:, None], torch.nan)


def breaking() -> Classifier:
    return classifier(NaNOnRed())


class ReusedReLU(nn.Module):
    """Calls one ReLU twice, never calls `spare`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU()
        self.spare, self.fc = nn.Conv2d(3, 3, 1), nn.Linear(4, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.relu(self.relu(self.conv(images)) - 1).mean(dim=(2, 3)))


def reused() -> Classifier:
    return classifier(ReusedReLU())
