"""All data sets by name."""

from xaibench.data.folder import ImageFolder
from xaibench.data.imagenet import ImageNet
from xaibench.data.shapes import Shapes

DATA: dict[str, type] = {
    "shapes": Shapes,
    "folder": ImageFolder,
    "imagenet": ImageNet,
}
