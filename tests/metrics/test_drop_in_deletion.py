import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.drop_in_deletion import DropInDeletion
from xaibench.metrics.masking import masked_scores

GOLDEN = Golden("drop_and_adcc")
DEAD = 3  # the image whose rectified map is zero everywhere: the program drops nothing there, we say undefined


@pytest.mark.parametrize(("case", "score"), [("softmax", "probability"), ("logit", "logit")])
def test_shapley_cam(case, score):
    metric = DropInDeletion(score=score)
    maps = GOLDEN["dataset_level/maps"][:, None]
    found = masked_scores(GOLDEN.network(), GOLDEN["images"], GOLDEN["predicted"], maps, mask=metric.mask, score=score)
    drops, expected = metric(found.clean, found.masked[:, 0]), GOLDEN[f"dataset_level/{case}/drop_in_deletion"]
    others = torch.arange(len(drops)) != DEAD
    torch.testing.assert_close(drops[others], expected[others], atol=1e-4, rtol=0)
    assert float(expected[others].max()) > 0.1
    assert drops[DEAD].isnan()
    assert expected[DEAD] == 0


def test_a_map_of_everything_important_drops_to_the_blank_image():
    """Linear logit: half of the image is taken away, so is half of the logit."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 2, bias=False))
    torch.nn.init.ones_(model[1].weight)
    image, half = torch.ones(1, 2, 2, 2), torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    metric = DropInDeletion(score="logit")
    found = masked_scores(model, image, torch.tensor([0]), half, mask=metric.mask, score="logit")
    assert metric(found.clean, found.masked[:, 0]).tolist() == [0.5]
