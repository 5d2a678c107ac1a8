"""What a run can be told: the schema of ``conf/``, as plain dataclasses. Importing this costs nothing."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class RunSettings:
    """Everything that decides a run; each field is a key of ``conf/config.yaml``.

    The groups (data, model, …) stay mappings of ``name`` and keyword arguments: the class that the name stands for checks
    them when it is made, before any work starts.

    Attributes
    ----------
    experiment_name : str
        Begins the name of the run's folder.
    question : str
        What the experiment asks; shown on its page.
    job : str
        ``evaluate`` scores explanations, ``train`` makes the embedded model.
    data, model : dict
        ``name`` and arguments of the images and of the classifier.
    explainer, metric, sanity : dict of dict
        By a name of one's own: ``name`` and arguments. The last are the sanity checks; empty leaves them out.
    verdict : dict
        The rule by which a map passes the cascade, see `xaibench.report.sanity.rule.SanityRule`.
    timing, training : dict
        Settings of the timed path, of the recipe; empty leaves them out.
    layers : list of str or str
        Module names or groups (``stages``, ``blocks``, ``last``).
    target : str or int
        ``predicted``, ``label``, ``runner_up``, ``least_likely`` or a class index.
    score : str
        What is differentiated: ``logit``, ``probability``, ``log_probability`` or ``margin``.
    upsampling : str
        How a layer's map meets the image: ``bilinear``, ``nearest`` or ``bicubic``.
    curve_steps : int
        Steps of every curve whose metric does not say otherwise.
    seed : int
        Of everything that is drawn, other than the data.
    batch_size : int or str
        Images in one pass through the network; ``auto`` takes the fastest of a few sizes, found before work starts and
        recorded. It moves values by rounding only.
    shard_size : int
        Images whose results are stored together; what a killed run loses at most.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int or None
        Threads on the CPU; None leaves it to torch.
    stop_when : str or None
        ``settled`` ends the run once the question of `stop` is answered; images are then used in an order drawn by
        `seed`. None uses all of them, as they come.
    stop : dict
        The question and its test, see `xaibench.report.stop_rule.StopRule`; without effect unless `stop_when` is given.
    inference : dict
        How the network runs where no gradient is wanted: `dtype`, `fold` (batch norm into convolutions), `fuse`; see
        `xaibench.metrics.inference.Inference`. Empty runs it as it is. What it changes is measured and recorded.
    out : str or None
        The run's folder; None makes one below ``results/``, named after the experiment and its settings.
    """

    experiment_name: str = "layers"
    question: str = ""
    job: str = "evaluate"
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    explainer: dict[str, Any] = field(default_factory=dict)
    metric: dict[str, Any] = field(default_factory=dict)
    sanity: dict[str, Any] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    layers: Any = "stages"
    target: Any = "predicted"
    score: str = "logit"
    upsampling: str = "bilinear"
    curve_steps: int = 16
    seed: int = 0
    batch_size: Any = 64
    shard_size: int = 4
    device: str = "auto"
    threads: int | None = None
    stop_when: str | None = None
    stop: dict[str, Any] = field(default_factory=dict)
    inference: dict[str, Any] = field(default_factory=dict)
    out: str | None = None


# What does not decide the values of a run
BESIDE_THE_VALUES = ("out", "question", "verdict")
