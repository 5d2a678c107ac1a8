"""What can be wrong with a layer or with a network's answer."""


class LayerError(ValueError):
    """A layer exists but no map can be taken from it; the message names it and says why."""


class NonFiniteOutput(ValueError):
    """The network answered some images with NaN or infinity.

    Attributes
    ----------
    indices : tuple of int
        Positions of these images in the batch, so that a caller can leave them out and go on.
    """

    def __init__(self, indices: tuple[int, ...]) -> None:
        self.indices = indices
        shown = ", ".join(map(str, indices[:10])) + (", …" if len(indices) > 10 else "")
        super().__init__(
            f"the model's output holds NaN or infinity for image(s) {shown} of the batch; "
            "look at these images' values and at the weights, or leave the images out"
        )
