"""The command line: a run, or one of the commands beside it."""

import logging
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xaibench.composition import UsageError, choices, compose_settings, conf_folder, groups, run_under_hydra
from xaibench.names import UnknownName, unknown
from xaibench.settings import RunSettings

_HELP = """\
xaibench: which layer and method explain this image classifier best, can the number be trusted, and what does it cost?

  xaibench                                run the main experiment (embedded images and ResNet-50, about 3 minutes)
  xaibench KEY=VALUE ...                  run it with other choices
  xaibench -m KEY=VALUE,VALUE ...         run it once for each combination
  xaibench experiments                    list the experiments
  xaibench layers model=NAME              list a model's layers, for layers=[...]
  xaibench metrics                        what each metric measures, its direction, cost and source
  xaibench report FOLDER                  redraw tables, figures and page from a run's records; difference=0.05 asks how
                                          many images would find it; paper=true draws PDFs at column
                                          width; colour_map=inferno colours the maps
  xaibench compare RUN_A RUN_B ...        runs side by side: scores, tests, times with regressions; --fail-on-regression
                                          NAME=FOLDER names one; threshold=0.10 out=FOLDER; or two benchmark .json files

choices (KEY=VALUE):
{groups}
               model= also takes any torchvision classifier's name, or your own module:function
  layers=[layer3.5,layer4.2]  module names, or a group: stages, blocks, last
  target=predicted            predicted, label, runner_up, least_likely, or a class index
  score=logit                 logit, probability, log_probability, margin
  upsampling=bilinear         bilinear, nearest, bicubic
  stop_when=settled           end early, once it is settled which layer is best by stop.metric=insertion
  seed=0  device=auto  batch_size=64  shard_size=4  threads=null  out=FOLDER

examples:
  xaibench data=folder data.root=photos model=resnet50 model.weights=IMAGENET1K_V2 layers=stages
  xaibench model=my_package.my_module:make_model layers=[features.7] data=folder data.root=photos
  xaibench metric=[insertion,pointing_game] sanity=none timing=none data.n=100
  xaibench experiment=train_shapes
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name; those of this process by default.

    Returns
    -------
    int
        Exit status: 0 done, 1 failed while working, 2 not understood.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        _complain("interrupted; finished shards are kept, the same command goes on from there")
        return 130
    except (ValueError, LookupError, ImportError, OSError, RuntimeError) as error:
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            raise
        _complain(str(error))
        return 2 if isinstance(error, (UsageError, UnknownName)) else 1


def _dispatch(words: list[str]) -> int:
    commands: dict[str, Callable[[list[str]], int]] = {
        "experiments": _list_experiments,
        "layers": _list_layers,
        "metrics": _list_metrics,
        "report": _redraw,
        "compare": _compare,
    }
    if "--help" in words or "-h" in words or words == ["help"]:
        return _say(_HELP.format(groups=_groups_text()))
    if words == ["--version"]:
        from importlib.metadata import version

        return _say(version("xaibench"))
    if words and "=" not in words[0] and not words[0].startswith(("-", "+", "~")):
        if words[0] not in commands:
            raise unknown("command", words[0], commands)
        return commands[words[0]](words[1:])
    if any(word.startswith("-") for word in words):
        return run_under_hydra(words, run)
    return run(compose_settings(words))


def run(settings: RunSettings) -> int:
    """Do what the settings say."""
    if settings.job == "train":
        from xaibench.training.job import train_from_settings

        train_from_settings(settings)
    else:
        from xaibench.experiment import run_experiment

        run_experiment(settings)
    return 0


def _list_experiments(words: list[str]) -> int:
    if words:
        raise UsageError("xaibench experiments takes no arguments; to run one: xaibench experiment=NAME")
    lines = []
    for name in choices("experiment"):
        text = (conf_folder() / "experiment" / f"{name}.yaml").read_text().splitlines()
        question, command, *_ = [
            line.removeprefix("# ") for line in text if line.startswith("# ") and "@package" not in line
        ]
        lines.append(f"{name}\n    {question}\n    {command}")
    return _say("\n".join(lines))


def _list_layers(words: list[str]) -> int:
    from xaibench.experiment import layers_table

    return _say(layers_table(compose_settings(words)))


def _list_metrics(words: list[str]) -> int:
    from xaibench.metrics.cards import CARDS

    if words:
        raise UsageError("xaibench metrics takes no arguments")
    return _say("\n\n".join(_card_text(card) for card in CARDS.values()))


def _card_text(card: Any) -> str:
    better = {True: "higher is better", False: "lower is better", None: "neither direction is better"}
    lines = (card.measures, f"range: {card.range}; {better[card.higher_is_better]}", f"cost: {card.cost}")
    return "\n    ".join([f"{card.name}  ({card.title})", *lines, f"traps: {card.traps}", f"source: {card.source}"])


def _redraw(words: list[str]) -> int:
    options, folders = _report_words(words)
    difference = _difference(options.pop("difference", None))
    paper = _yes_or_no("paper", options.pop("paper", "false"))
    if len(folders) != 1:
        raise UsageError(
            "xaibench report takes one folder: xaibench report results/layers-… [difference=0.05] [paper=true] "
            "[colour_map=inferno]"
        )
    from xaibench.report.redraw import write_report

    return _say(str(write_report(Path(folders[0]), difference=difference, paper=paper, **options).page))


def _report_words(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Tell how a report is to be drawn apart from the folder, which may have = in its name."""
    options, folders = {}, []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in _REPORT_KEYS:
            options[key] = value
        elif word.startswith("-") or (equals and not Path(word).exists()):
            raise unknown("key", key, _REPORT_KEYS)
        else:
            folders.append(word)
    return options, folders


_REPORT_KEYS = ("difference", "colour_map", "paper")


def _yes_or_no(key: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise UsageError(f"{key}={text} is neither {key}=true nor {key}=false")
    return text == "true"


def _difference(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        difference = float(text)
    except ValueError:
        difference = 0.0
    if not 0 < difference < float("inf"):
        raise UsageError(f"difference={text} is no difference of means above 0, such as difference=0.05")
    return difference


def _compare(words: list[str]) -> int:
    options, runs = _comparison_words(words)
    fail, threshold = "--fail-on-regression" in options, _threshold(options.get("threshold", ""))
    if len(runs) < 2:
        raise UsageError("xaibench compare takes two runs or more: xaibench compare RUN_A RUN_B")
    if any(run.endswith(".json") for run in runs):
        from xaibench.report.compare.benchmarks import compare_benchmarks, print_benchmarks

        found = compare_benchmarks([Path(run) for run in runs], threshold=threshold)
        print_benchmarks(found, stream=sys.stdout)
        return int(fail and len(found.regressions) > 0)
    from xaibench.report.compare.comparison import compare_runs, write_comparison
    from xaibench.report.compare.terminal import print_comparison

    comparison = compare_runs(runs, threshold=threshold)
    page = write_comparison(comparison, Path(options["out"]) if "out" in options else None)
    print_comparison(comparison, page=page, stream=sys.stdout)
    return int(fail and len(comparison.regressions) > 0)


def _comparison_words(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Tell what a comparison is told apart from the runs."""
    options, runs = {}, []
    for word in words:
        key, equals, value = word.partition("=")
        if word.startswith("-"):
            if word != "--fail-on-regression":
                raise unknown("option", word, ["--fail-on-regression"])
            options[word] = "yes"
        elif equals and key in ("out", "threshold"):
            options[key] = value
        else:
            runs.append(word)
    return options, runs


def _threshold(text: str) -> float:
    from xaibench.report.compare.times import THRESHOLD

    try:
        return float(text) if text else THRESHOLD
    except ValueError:
        raise UsageError(f"threshold={text} is no number; it is a share, such as threshold=0.10 for 10 %") from None


def _groups_text() -> str:
    lines = [f"  {group + '=':<12} {', '.join(choices(group))}" for group in groups()]
    return "\n".join(textwrap.fill(line, 120, subsequent_indent=" " * 15, break_on_hyphens=False) for line in lines)


def _say(text: str) -> int:
    sys.stdout.write(text.rstrip("\n") + "\n")
    return 0


def _complain(text: str) -> None:
    sys.stderr.write(f"xaibench: {text}\n")
