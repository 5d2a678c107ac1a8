"""Divisions handed over as label maps, and the slow way to draw a curve over them."""

from dataclasses import dataclass, field

import torch


@dataclass(frozen=True, eq=False)
class StoredRegions:
    """Label maps (B, H, W) that were made for these images."""

    images: torch.Tensor
    labels: torch.Tensor = field(repr=False)

    def __call__(self, images):
        found = [next(i for i, known in enumerate(self.images) if torch.equal(known, image)) for image in images]
        return self.labels[found].long()

    def about(self, height, width):
        return int(self.labels.max()) + 1


def regions_in_order(attribution, labels, *, score="mean"):
    """Region numbers, most relevant first, the smaller number first among equals."""
    pick = {"mean": torch.mean, "sum": torch.sum}[score]
    values = [float(pick(attribution[labels == s].double())) for s in range(int(labels.max()) + 1)]
    return sorted(range(len(values)), key=lambda s: (-values[s], s))


def slow_curve(score_of, image, removed_picture, labels, order, counts):
    """Scores and shares of pixels after the first k regions of `order` were removed, for each count k."""
    scores, shares = [], []
    for k in counts:
        gone = torch.isin(labels, torch.tensor(order[:k], dtype=labels.dtype))
        scores.append(float(score_of(torch.where(gone, removed_picture, image))))
        shares.append(float(gone.double().mean()))
    return scores, shares
