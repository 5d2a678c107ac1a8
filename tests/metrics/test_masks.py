import pytest
import torch

from xaibench.metrics.masks import Mask, unit_range
from xaibench.metrics.undefined import CONSTANT, NO_POSITIVE_EVIDENCE, NOT_FINITE


def test_unit_range():
    maps = torch.tensor([[[-2.0, 1.0, 3.0]], [[1.0, 2.0, 3.0]], [[-1.0, -2.0, 0.0]]])
    torch.testing.assert_close(unit_range(maps)[:2], torch.tensor([[[0, 1 / 3, 1]], [[0, 0.5, 1]]]))
    assert unit_range(maps)[2].isnan().all()


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (Mask(), [0, 0, 0.25, 1]),
        (Mask(sign="absolute"), [0.5, 0, 0.25, 1]),
        (Mask(stretch=False), [0, 0, 1, 4]),
        (Mask(sign="absolute", stretch=False, complement=True), [-1, 1, 0, -3]),
        (Mask(complement=True), [1, 1, 0.75, 0]),
        (Mask(muted_share=0.5), [0, 0, 1, 1]),
        (Mask(muted_share=0.5, sign="absolute"), [1, 0, 0, 1]),
        (Mask(muted_share=0.3), [0, 1, 1, 1]),
        (Mask(muted_share=0.5, complement=True), [1, 1, 0, 0]),
    ],
    ids=str,
)
def test_by_hand(mask, expected):
    maps = torch.tensor([[[-2.0, 0.0], [1.0, 4.0]]])
    torch.testing.assert_close(mask(maps).flatten(), torch.tensor(expected, dtype=torch.float32))


def test_muting_is_exact_on_ties():
    """Five of ten pixels go, the later ones of the equal ones."""
    maps = torch.tensor([[[0.0, 0, 3, 0, 0, 0, 0, 0, 0, 0]]])
    assert Mask(muted_share=0.5)(maps).flatten().tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_why_undefined():
    maps = torch.tensor([[[1.0, 2.0]], [[-1.0, -2.0]], [[0.0, 0.0]], [[2.0, 2.0]], [[1.0, torch.nan]]])
    nothing = NO_POSITIVE_EVIDENCE
    assert Mask().why_undefined(maps) == ["", nothing, nothing, CONSTANT, NOT_FINITE]
    assert Mask(stretch=False).why_undefined(maps) == ["", nothing, nothing, "", NOT_FINITE]
    assert Mask(sign="absolute").why_undefined(maps) == ["", "", nothing, CONSTANT, NOT_FINITE]
    assert Mask(muted_share=0.5).why_undefined(maps) == ["", "", CONSTANT, CONSTANT, NOT_FINITE]


@pytest.mark.usefixtures("as_in_production")
def test_errors():
    with pytest.raises(ValueError, match="unknown sign of a mask 'signed'"):
        Mask(sign="signed")
    with pytest.raises(ValueError, match="muted_share must lie between 0 and 1"):
        Mask(muted_share=0)
