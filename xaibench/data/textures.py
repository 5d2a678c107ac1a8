"""Textures with natural statistics: coloured 1/f noise, gratings, gradients and blobs.

Natural images have amplitude spectra near 1/f [1]_; the noise here has f ** -exponent with exponents around one.

.. [1] D. J. Field, "Relations between the statistics of natural images and the response properties of cortical
   cells", JOSA A 4(12), 1987.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

KINDS = ("noise", "grating", "gradient", "blobs")
NOISE_EXPONENTS = (0.8, 1.0, 1.2, 1.5)
BLOB_EXPONENT = 2.0
_PHASORS = np.exp(2j * np.pi * np.arange(256) / 256).astype(np.complex64)


@dataclass(frozen=True)
class Texture:
    """A coloured pattern over a square image: base + structure * tint + detail * accent.

    Attributes
    ----------
    structure, detail : array of float32, shape (size, size)
        Fields of mean zero (over many textures) and variance about one.
    base, tint, accent : array of float32, shape (3,)
        Mean colour and the two directions of variation, in grey levels (0 to 255).
    """

    structure: NDArray[np.float32]
    detail: NDArray[np.float32]
    base: NDArray[np.float32]
    tint: NDArray[np.float32]
    accent: NDArray[np.float32]

    def crop(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Colours of one part of the texture: array of float32, shape (3, rows, columns), in [0, 255]."""
        colours = self.structure[rows, columns] * self.tint[:, None, None]
        colours += self.detail[rows, columns] * self.accent[:, None, None]
        colours += self.base[:, None, None]
        return np.clip(colours, 0, 255, out=colours)


def random_texture(rng: np.random.Generator, size: int) -> Texture:
    """Draw a texture of `size` by `size` pixels, any of the four kinds with equal probability.

    Parameters
    ----------
    rng : Generator
        All randomness comes from here.
    size : int
        Side in pixels. Patterns scale with it: a grating has as many periods in a small image as in a large one.

    Returns
    -------
    Texture
    """
    kind = KINDS[rng.integers(len(KINDS))]
    exponent = BLOB_EXPONENT if kind == "blobs" else NOISE_EXPONENTS[rng.integers(len(NOISE_EXPONENTS))]
    first, second = noise_fields(rng, size, exponent)
    if kind == "noise":
        structure = first
    elif kind == "blobs":
        structure = np.tanh(3 * first)
    else:
        along = _coordinate(rng.uniform(0, 2 * np.pi), size)
        if kind == "gradient":
            structure = np.float32(3**0.5) * along
        else:
            periods = np.exp(rng.uniform(np.log(3), np.log(18)))
            phase = np.float32(np.pi * periods) * along + np.float32(rng.uniform(0, 2 * np.pi))
            structure = np.float32(2**0.5) * np.sin(phase + np.float32(0.5) * first)
    base, tint, accent = _random_colours(rng)
    return Texture(structure, second, base, tint, accent)


def noise_fields(
    rng: np.random.Generator, size: int, exponent: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two uncorrelated, periodic, nearly Gaussian fields with amplitude spectrum f ** -exponent.

    They are the real and the imaginary part of one inverse transform of random phases.

    Parameters
    ----------
    rng : Generator
        All randomness comes from here.
    size : int
        Side in pixels.
    exponent : float
        0 is white noise, 1 natural, 2 very smooth.

    Returns
    -------
    tuple of two arrays of float32, shape (size, size)
        Each with mean zero and variance one.
    """
    white = _PHASORS[np.frombuffer(rng.bytes(size * size), dtype=np.uint8)].reshape(size, size)
    fields = np.fft.ifft2(white * _amplitudes(size, exponent))
    real, imaginary = (np.ascontiguousarray(part, dtype=np.float32) for part in (fields.real, fields.imag))
    real *= size / np.linalg.norm(real)
    imaginary *= size / np.linalg.norm(imaginary)
    return real, imaginary


@cache
def _amplitudes(size: int, exponent: float) -> NDArray[np.float32]:
    """Amplitudes f ** -exponent over the frequencies of a size × size transform; zero at f = 0, so that means are."""
    frequencies = np.fft.fftfreq(size, 1 / size)
    radius = np.hypot(frequencies[:, None], frequencies)
    radius[0, 0] = np.inf
    amplitudes = (radius**-exponent).astype(np.float32)
    amplitudes.setflags(write=False)
    return amplitudes


def _coordinate(angle: float, size: int) -> NDArray[np.float32]:
    """Position along a direction (radians), from -1 to 1 over the longest axis-parallel way through the image."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    return np.float32(np.cos(angle)) * axis + np.float32(np.sin(angle)) * axis[:, None]


def _random_colours(
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Base colour, tint and accent in grey levels. The tint leans to luminance, as in natural images."""
    base = rng.uniform(40, 215, 3)
    tint = rng.normal(0.0, 0.5, 3) + rng.choice((-1, 1))
    accent = rng.normal(0.0, 1.0, 3)
    tint *= rng.uniform(8, 30) * 3**0.5 / np.linalg.norm(tint)
    accent *= rng.uniform(4, 14) * 3**0.5 / np.linalg.norm(accent)
    return base.astype(np.float32), tint.astype(np.float32), accent.astype(np.float32)
