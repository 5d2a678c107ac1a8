"""What is timed under which conditions: a base cell, and sweeps that change one factor of it, or several crossed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import Any, ClassVar

from xaibench.explainers.cams import CAM_CLASSES
from xaibench.names import pick

DTYPES = ("float64", "float32", "tf32", "bfloat16", "float16")
MEMORY_FORMATS = ("contiguous", "channels_last")
CHOICES: dict[str, Sequence[str]] = {
    "method": tuple(CAM_CLASSES), "dtype": DTYPES, "memory_format": MEMORY_FORMATS,
}  # fmt: skip
NUMBERS = ("n_layers", "batch_size", "image_size", "threads")
FLAGS = ("compiled", "cuda_graph")
FACTORS = (
    "layer", "n_layers", "method", "batch_size", "image_size", "dtype", "memory_format", "compiled", "cuda_graph",
    "threads",
)  # fmt: skip
"""What can be swept, in the order of reports."""


@dataclass(frozen=True)
class Cell:
    """One set of conditions.

    Attributes
    ----------
    layers : tuple of str
        Explained together; `n_layers` of them where there are so many.
    n_layers, method, batch_size, dtype, memory_format, compiled, cuda_graph
        As in `TimingGrid`.
    image_size : int
        Side in pixels.
    threads : int
        On the CPU.
    """

    layers: tuple[str, ...]
    n_layers: int
    method: str
    batch_size: int
    image_size: int
    dtype: str
    memory_format: str
    compiled: bool
    cuda_graph: bool
    threads: int

    def factors(self) -> dict[str, Any]:
        """The conditions as settings of a record; the layers themselves are the record's layer."""
        return {name.name: getattr(self, name.name) for name in fields(self) if name.name != "layers"}

    def conditions(self) -> "Cell":
        """The cell without what only the explanation depends on: equal for cells with the same plain inference."""
        return replace(self, layers=(), n_layers=0, method="")


@dataclass(frozen=True)
class TimingGrid:
    """A base cell, the values of each factor, and how cells are timed.

    Attributes
    ----------
    n_layers : int
        Layers explained at once: so many of the run's, evenly spaced from the first on, so that the shallowest, which
        decides how far the backward pass goes, is always among them.
    method : str
        Of the CAM family.
    batch_size : int
        Images at once; the run's first images, again and again where there are fewer.
    image_size : int or None
        Side in pixels, to which the images that the network sees are resized; None leaves them as they are.
    dtype : str
        float64, float32, bfloat16, and on a CUDA device tf32 and float16.
    memory_format : str
        Of images and weights: contiguous or channels_last.
    compiled, cuda_graph : bool
        Whether the network is compiled by `torch.compile`, or its forward pass replayed as a CUDA graph. Neither lets
        hooks in, so both are timed for plain inference.
    threads : int or None
        On the CPU; None is as many as the run has.
    sweep : mapping
        Values of each factor of `FACTORS`; the base's own is always among them. `layer: all` explains every layer of
        the run alone; None leaves a factor out.
    cross : sequence of sequence of str
        Factors to vary together, in all combinations of their values in `sweep`, besides one at a time.
    repeats, warmup : int
        Timed repetitions of each cell, and at most so many runs before them, which end when all are warm.
    max_seconds : float
        For each sweep; no new round of repetitions begins after it.
    precision_images : int
        Images on which each dtype of the sweep is held against float64; 0 leaves that out.
    precision_steps : int
        Steps of the deletion and insertion curves whose areas are held against float64, too; 0 leaves them out.
    """

    name: ClassVar[str] = "grid"
    n_layers: int = 4
    method: str = "grad_cam"
    batch_size: int = 4
    image_size: int | None = None
    dtype: str = "float32"
    memory_format: str = "channels_last"
    compiled: bool = False
    cuda_graph: bool = False
    threads: int | None = None
    sweep: Mapping[str, Any] = field(default_factory=dict)
    cross: Sequence[Sequence[str]] = ()
    repeats: int = 10
    warmup: int = 10
    max_seconds: int | float = 30.0
    precision_images: int = 2
    precision_steps: int = 0

    def __post_init__(self) -> None:
        for name in FACTORS[1:]:
            _check(f"timing.{name}", name, getattr(self, name), none=name in ("image_size", "threads"))
        for name in self.sweep:
            pick("factor in timing.sweep", name, dict.fromkeys(FACTORS))
            for value in self.values(name):
                _check(f"timing.sweep.{name}", name, value)
        for names in self.cross:
            if isinstance(names, str) or len(names) < 2:
                raise ValueError(
                    f"timing.cross: expected lists of two or more factors, as in [[batch_size, threads]]; got {names!r}"
                )
            for name in names:
                pick("factor in timing.cross", name, self.sweep)
        for name in ("repeats", "max_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"timing.{name} must be above 0; got {getattr(self, name)}")
        for name in ("warmup", "precision_images", "precision_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"timing.{name} must be at least 0; got {getattr(self, name)}")

    def values(self, factor: str) -> tuple[Any, ...]:
        """Return what `sweep` says of a factor: `all` for every layer, one value, or several."""
        given = self.sweep[factor]
        if given is None:
            return ()
        return tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)

    def base(self, layers: Sequence[str], *, image_size: int, threads: int) -> Cell:
        """Make the base cell for a run's layers; size and threads count where the settings leave them open."""
        return Cell(
            spread(layers, self.n_layers), self.n_layers, self.method, self.batch_size, self.image_size or image_size,
            self.dtype, self.memory_format, self.compiled, self.cuda_graph, self.threads or threads,
        )  # fmt: skip

    def sweeps(self, layers: Sequence[str], *, image_size: int, threads: int) -> dict[str, list[Cell]]:
        """Make the cells of each sweep, the base first; each once.

        Parameters
        ----------
        layers : sequence of str
            The run's.
        image_size, threads : int
            Where the settings leave them open.

        Returns
        -------
        dict of str to list of Cell
            By factor, or by factors joined by `` x ``; ``base`` alone where nothing is swept.
        """
        base = self.base(layers, image_size=image_size, threads=threads)
        together = [(name,) for name in FACTORS if self.sweep.get(name)] + [tuple(names) for names in self.cross]
        return {" x ".join(names) or "base": self._cells(base, names, layers) for names in together or [()]}

    def _cells(self, base: Cell, factors: Sequence[str], layers: Sequence[str]) -> list[Cell]:
        levels = []
        for factor in factors:
            values = tuple(layers) if factor == "layer" and self.values(factor) == ("all",) else self.values(factor)
            own = () if factor == "layer" else (getattr(base, factor),)
            levels.append(tuple(dict.fromkeys((*own, *values))))
        cells = [base]
        for values in product(*levels):
            cell = base
            for factor, value in zip(factors, values, strict=True):
                cell = changed(cell, factor, value, layers)
            cells.append(cell)
        return list(dict.fromkeys(cells))


def changed(cell: Cell, factor: str, value: Any, layers: Sequence[str]) -> Cell:
    """Change one factor of a cell; `layers` are the run's."""
    if factor == "layer":
        return replace(cell, layers=(value,), n_layers=1)
    if factor == "n_layers":
        return replace(cell, layers=spread(layers, value), n_layers=value)
    return replace(cell, **{factor: value})


def spread(layers: Sequence[str], n: int) -> tuple[str, ...]:
    """Take `n` layers, evenly spaced from the first on; all where there are fewer."""
    n = min(n, len(layers))
    return tuple(layers[i * len(layers) // n] for i in range(n))


def _check(where: str, name: str, value: Any, *, none: bool = False) -> None:
    if none and value is None:
        return
    if name in CHOICES:
        pick(where, value, dict.fromkeys(CHOICES[name]))
    elif name in NUMBERS and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{where} must be a whole number, at least 1; got {value!r}")
    elif name in FLAGS and not isinstance(value, bool):
        raise ValueError(f"{where} must be true or false; got {value!r}")
    elif name == "layer" and not isinstance(value, str):
        raise ValueError(f"{where} must be all or names of layers; got {value!r}")
