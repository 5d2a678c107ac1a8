import pytest
import torch
from small_networks import pictures, tiny_resnet
from torch import nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from xaibench.explainers.capture import capture
from xaibench.explainers.errors import LayerError
from xaibench.explainers.token_grids import automatic_grid, channels_first, channels_last, tokens


@pytest.fixture
def vit():
    torch.manual_seed(0)
    network = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=16, num_classes=4)
    nn.init.normal_(network.heads.head.weight)
    return network.double().eval()


def test_tokens_lie_row_by_row_behind_the_prefix():
    values = torch.arange(2 * 7 * 3).reshape(2, 7, 3)
    grid = tokens(2, 3, prefix=1)(values)
    assert grid.shape == (2, 3, 2, 3)
    for row in range(2):
        for column in range(3):
            assert torch.equal(grid[:, :, row, column], values[:, 1 + row * 3 + column])


def test_vision_transformer(vit):
    images, layer = pictures(2, 32, 32, dtype=torch.float64), "encoder.layers.encoder_layer_0"
    captured = capture(vit, images, ["conv_proj", layer], targets=1)
    kept = []
    vit.get_submodule(layer).register_forward_hook(lambda _, __, output: kept.append(output))
    vit(images)[:, 1].sum().backward(inputs=[*vit.parameters()])
    (gradient,) = torch.autograd.grad(vit(images)[:, 1].sum(), kept[1])
    expected = gradient[:, 1:].reshape(2, 4, 4, 12).permute(0, 3, 1, 2)
    torch.testing.assert_close(captured.gradients[layer], expected)
    assert captured.activations[layer].shape == captured.activations["conv_proj"].shape == (2, 12, 4, 4)
    with pytest.raises(LayerError, match="self_attention' puts out no tensor but tuple"):
        capture(vit, images, ["encoder.layers.encoder_layer_0.self_attention"])


def test_swin_transformer_puts_its_channels_last():
    torch.manual_seed(0)
    network = SwinTransformer([4, 4], 8, [1, 1], [2, 2], [2, 2], num_classes=3).double().eval()
    images = pictures(2, 32, 64, dtype=torch.float64)
    names = ["features.0.0", "features.0", "features.1.0", "features.3", "norm", "permute"]
    captured = capture(network, images, names)
    shapes = [tuple(captured.activations[name].shape[1:]) for name in names]
    assert shapes == [(8, 8, 16), (8, 8, 16), (8, 8, 16), (16, 4, 8), (16, 4, 8), (16, 4, 8)]
    torch.testing.assert_close(captured.activations["norm"], captured.activations["permute"])
    torch.testing.assert_close(captured.gradients["norm"], captured.gradients["permute"])


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [(49, (224, 224), (7, 7)), (197, (224, 224), (14, 14)), (34, (32, 128), None), (17, (32, 128), (2, 8)),
     (16, (32, 128), (2, 8)), (198, (224, 224), None), (50, (224, 200), None)],
)  # fmt: skip
def test_grids_have_the_image_s_proportions(count, size, expected):
    output = torch.rand(1, count, 6)
    if expected is None:
        with pytest.raises(LayerError, match=f"{count} tokens, which lie on no unique grid"):
            automatic_grid(nn.Sequential(), "blocks", output, size)
    else:
        assert automatic_grid(nn.Sequential(), "blocks", output, size)(output).shape == (1, 6, *expected)


def test_what_looks_like_channels_last_is_asked_for_not_guessed():
    output = torch.rand(1, 7, 7, 768)
    with pytest.raises(LayerError, match="its channels seem to come last"):
        automatic_grid(nn.Sequential(), "block", output, (224, 224))
    assert automatic_grid(nn.Sequential(), "block", output.permute(0, 3, 1, 2), (224, 224)) is channels_first
    assert channels_last(output).shape == (1, 768, 7, 7)


def test_a_function_that_makes_no_grid_is_refused():
    with pytest.raises(LayerError, match=r"token_grid makes \(3, 8192\)"):
        capture(tiny_resnet(), pictures(), ["layer4"], token_grid=lambda output: output.flatten(1))
