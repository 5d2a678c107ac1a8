"""From what a layer puts out to a spatial map (B, K, h, w): convolutions, channels-last blocks, tokens."""

from collections.abc import Callable

from jaxtyping import Shaped
from torch import Tensor, nn

from xaibench.explainers.errors import LayerError

TokenGrid = Callable[[Tensor], Tensor]
"""Rearranges a layer's output, and its gradient, into (B, K, h, w); it may drop tokens but must not mix values."""

CHANNELS_LAST_NETWORKS = ("SwinTransformer", "SwinTransformerV2")
"""Class names of the networks whose layers put out (B, h, w, K), save convolutions, poolings and `permute`."""


def channels_first(output: Shaped[Tensor, "B K h w"]) -> Shaped[Tensor, "B K h w"]:
    """Take the output as it is."""
    return output


def channels_last(output: Shaped[Tensor, "B h w K"]) -> Shaped[Tensor, "B K h w"]:
    """Move the last axis, the channels, to the second place."""
    return output.permute(0, 3, 1, 2)


def tokens(height: int, width: int, *, prefix: int = 0) -> TokenGrid:
    """Make a function that lays out tokens (B, prefix + height·width, K), row by row, without the first `prefix`."""

    def grid(output: Shaped[Tensor, "B N K"]) -> Shaped[Tensor, "B K h w"]:
        return output[:, prefix:].transpose(1, 2).unflatten(2, (height, width))

    return grid


def automatic_grid(network: nn.Module, layer: str, output: Tensor, image_size: tuple[int, int]) -> TokenGrid:
    """Choose the function for a layer's output, or say why none can be chosen.

    Four axes are (B, K, h, w), except in the networks of `CHANNELS_LAST_NETWORKS`. Three axes are tokens on a grid
    of the image's proportions, with or without one class token before them.

    Raises
    ------
    LayerError
        If the output has other axes, fits no grid, or looks as if its channels came last.
    """
    shape = tuple(output.shape)
    if len(shape) == 3:
        return _patch_grid(layer, shape, image_size)
    if len(shape) != 4:
        raise LayerError(
            f"layer {layer!r} puts out no spatial map (B, K, h, w) but a tensor of shape {shape}; "
            "choose a layer before the pooling"
        )
    if type(network).__name__ in CHANNELS_LAST_NETWORKS:
        module = network.get_submodule(layer)
        first = layer == "permute" or isinstance(module, nn.Conv2d | nn.AdaptiveAvgPool2d)
        return channels_first if first else channels_last
    if not _proportional(shape[2:], image_size) and _proportional(shape[1:3], image_size):
        raise LayerError(
            f"layer {layer!r} puts out {shape} for images of {image_size}: its channels seem to come last; pass "
            "token_grid=channels_last, or channels_first if they do not (both in xaibench.explainers.token_grids)"
        )
    return channels_first


def _proportional(grid: tuple[int, ...], image_size: tuple[int, int]) -> bool:
    (rows, columns), (height, width) = grid, image_size
    return rows <= height and columns <= width and abs(rows * width - columns * height) <= max(height, width)


def _patch_grid(layer: str, shape: tuple[int, ...], image_size: tuple[int, int]) -> TokenGrid:
    height, width = image_size
    fitting = []
    for prefix in (0, 1):
        count = shape[1] - prefix
        rows = round((count * height / width) ** 0.5)
        if rows > 0 and rows * width % height == 0 and rows * (rows * width // height) == count:
            fitting.append((rows, rows * width // height, prefix))
    if len(fitting) != 1:
        raise LayerError(
            f"layer {layer!r} puts out {shape[1]} tokens, which lie on no unique grid of the proportions of images of "
            f"{image_size} with at most one class token; pass token_grid=tokens(rows, columns, prefix=…) "
            "of xaibench.explainers.token_grids"
        )
    rows, columns, prefix = fitting[0]
    return tokens(rows, columns, prefix=prefix)
