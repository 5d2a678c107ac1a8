"""Maps averaged over noisy copies of the image: SmoothGrad [1]_, and any other explainer smoothed alike [2]_.

.. [1] D. Smilkov, N. Thorat, B. Kim, F. Viégas, M. Wattenberg, "SmoothGrad: removing noise by adding noise", 2017.
.. [2] A. Hedström, L. Weber, S. Lapuschkin, M. Höhne, "Sanity Checks Revisited: An Exploration to Repair the Model
   Parameter Randomisation Test", XAI in Action Workshop, NeurIPS 2023.
"""

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import islice
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.errors import NonFiniteOutput
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.gradients import image_gradients
from xaibench.explainers.pixelwise import PixelExplainer, in_full_precision
from xaibench.explainers.references import generator_of

Explain = Callable[[Tensor, Tensor], dict[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Noisy copies of images.

    Attributes
    ----------
    n_samples : int
        Copies of each image.
    noise_level : float
        Standard deviation of the Gaussian noise, as a fraction of the image's own range (maximum − minimum over all
        its normalized values).
    clean_last : bool
        Whether the last copy of each image is the image itself.
    seed : int
        Draws depend on it and on the image's values only.
    batch_size : int
        Copies that are explained together, at most: what bounds the memory.
    """

    n_samples: int
    noise_level: float
    clean_last: bool
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        for key in ("n_samples", "batch_size"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} of a smoothed explainer must be at least 1; got {getattr(self, key)}")
        if not 0 <= self.noise_level < float("inf"):
            raise ValueError(f"noise_level must be a fraction of the image's range, 0 or more; got {self.noise_level}")

    @property
    def absent(self) -> bool:
        """Whether no copy differs from its image."""
        return self.noise_level == 0 or (self.clean_last and self.n_samples == 1)

    @property
    def copies_explained(self) -> int:
        """Copies of each image that need explaining."""
        return 1 if self.absent else self.n_samples

    def mean(
        self, explain: Explain, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"]
    ) -> dict[str, Float[Tensor, "B ..."]]:
        """Average what `explain` says of the copies, image by image and key by key.

        Parameters
        ----------
        explain : function
            ``(images, targets) -> {key: (B, ...)}``. It is called with up to `batch_size` copies, of one image or of
            several, and may raise `NonFiniteOutput`, whose indices then become those of the images.
        images : Tensor, shape (B, C, H, W)
        targets : Tensor of int, shape (B,)
        """
        if self.absent:
            return explain(images, targets)
        sums: dict[str, Tensor] = {}
        not_finite: set[int] = set()
        copies = self._copies(images)
        while batch := list(islice(copies, self.batch_size)):
            owners = [index for index, _ in batch]
            try:
                found = explain(torch.stack([copy for _, copy in batch]), targets[owners])
            except NonFiniteOutput as error:
                not_finite.update(owners[index] for index in error.indices)
                continue
            for key, values in found.items():
                total = sums.setdefault(key, values.new_zeros(len(images), *values.shape[1:]))
                for owner, value in zip(owners, values, strict=True):  # always in the order of the samples
                    total[owner] += value
        if not_finite:
            raise NonFiniteOutput(tuple(sorted(not_finite)))
        return {key: total / self.n_samples for key, total in sums.items()}

    def _copies(self, images: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Give index and copy, image after image, each drawn when it is asked for."""
        for index, image in enumerate(images):
            generator = generator_of(image, self.seed)
            sigma = self.noise_level * (image.max() - image.min())
            for sample in range(self.n_samples):
                if self.clean_last and sample == self.n_samples - 1:
                    yield index, image
                else:
                    yield index, image + sigma * torch.randn(image.shape, generator=generator).to(image)


@dataclass(frozen=True)
class Smoothed(Explainer):
    """Another explainer's maps, averaged over noisy copies of each image.

    The defaults are those of Smooth MPRT. Layers, upsampling and name are the other explainer's, under which its maps
    are recorded; that they were smoothed is said by the settings of whoever smooths. Without noise (a level of zero, or
    one sample and that clean) the maps are bit for bit the other explainer's.

    Attributes
    ----------
    explainer : Explainer
    n_samples, noise_level, clean_last, seed, batch_size
        See `Noise`.
    """

    name: ClassVar[str] = "smoothed"

    explainer: Explainer
    _: KW_ONLY
    n_samples: int = 50
    noise_level: float = 0.1
    clean_last: bool = True
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        for key in ("name", "layers", "upsampling"):
            object.__setattr__(self, key, getattr(self.explainer, key))
        self.noise  # noqa: B018 — checks the settings

    @property
    def noise(self) -> Noise:
        """How images are made noisy."""
        return _noise_of(self)

    def forward_passes(self) -> float:
        """Return the explainer's own, for each copy."""
        return self.noise.copies_explained * self.explainer.forward_passes()

    def maps(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, "B _ _"]]:
        """Return mean maps; `generator` is the explainer's, never the noise's."""
        return self.noise.mean(
            lambda copies, owners: self.explainer.maps(model, copies, owners, generator=generator), images, targets
        )


@dataclass(frozen=True, kw_only=True)
class SmoothGrad(PixelExplainer):
    """The gradient averaged over noisy copies, its channels reduced after that.

    The defaults are those of Adebayo et al., NeurIPS 2018: 50 samples, noise of .15 of the image's range, none clean.

    Attributes
    ----------
    score, channels : str
        As in `PixelExplainer`.
    n_samples, noise_level, clean_last, seed, batch_size
        See `Noise`.
    """

    name: ClassVar[str] = "smooth_grad"

    n_samples: int = 50
    noise_level: float = 0.15
    clean_last: bool = False
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        self.noise  # noqa: B018 — checks the settings

    @property
    def noise(self) -> Noise:
        """How images are made noisy."""
        return _noise_of(self)

    def forward_passes(self) -> float:
        """One for each copy."""
        return float(self.noise.copies_explained)

    def relevance(
        self, model: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C H W"]:
        """Return the mean gradients."""
        return self.noise.mean(
            lambda copies, owners: {"": in_full_precision(image_gradients(model, copies, owners, score=self.score))},
            images,
            targets,
        )[""]


def _noise_of(explainer: Smoothed | SmoothGrad) -> Noise:
    return Noise(
        n_samples=explainer.n_samples,
        noise_level=explainer.noise_level,
        clean_last=explainer.clean_last,
        seed=explainer.seed,
        batch_size=explainer.batch_size,
    )
