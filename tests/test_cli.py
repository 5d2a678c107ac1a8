import subprocess
import sys
from pathlib import Path
from unittest.mock import create_autospec

import pytest
from own_models import small

from xaibench.composition import compose_settings, conf_folder

CONF = Path(__file__).parents[1] / "conf"


def choices(group):
    folder = CONF / group
    return sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml"))


@pytest.mark.parametrize("group", sorted(p.name for p in CONF.iterdir() if p.is_dir()))
def test_every_choice_composes(group):
    together = group in ("explainer", "metric")  # of these, many can be chosen at once
    for choice in [f"[{','.join(choices(group))}]"] if together else choices(group):
        needed = ["data.root=somewhere"] if choice in ("folder", "imagenet", "imagenet_layers") else []
        assert compose_settings([f"{group}={choice}", *needed]).experiment_name


def test_every_choice_of_explainer_and_metric_is_a_known_one():
    from xaibench.explainers.catalogue import EXPLAINERS
    from xaibench.metrics.catalogue import METRICS
    from xaibench.metrics.presets import PRESETS

    assert set(choices("explainer")) == {*EXPLAINERS, "oracle"}
    assert set(choices("metric")) == set(METRICS) | {f"preset/{name}" for name in PRESETS}


def test_every_experiment_says_question_command_time_and_result(command):
    status, out, _ = command("experiments")
    assert status == 0
    for name in choices("experiment"):
        question, run = out.split(f"{name}\n")[1].splitlines()[:2]
        assert question.strip().endswith(("?", "again."))
        assert run.strip().startswith("xaibench")
        assert (CONF.parent / "experiments" / name / "README.md").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["experiment=layer"], "unknown experiment 'layer'; did you mean layers"),
        (["data=foldr"], "unknown data 'foldr'; did you mean folder"),
        (["metric=[deletion,insertoin]"], "unknown metric 'insertoin'; did you mean insertion"),
        (["metric=[preset/rsie]"], "unknown metric 'preset/rsie'; did you mean preset/rise"),
        (["explainer=gradcam"], "unknown explainer 'gradcam'; did you mean grad_cam"),
        (["layrs=[layer4]"], "unknown key 'layrs'; did you mean layers"),
        (["data.m=3"], "unknown key 'data.m'; did you mean data.n"),
        (["metric.deletion.stpe_px=3"], "unknown key 'metric.deletion.stpe_px'; did you mean metric.deletion.step_px"),
        (["data=folder"], "data.root must be given: add data.root=VALUE"),
        (["shard_size=many"], "could not be converted to Integer"),
        (["data.n=3", "nonsense"], "'nonsense' is not understood; choices are written KEY=VALUE"),
        (["expriments"], "unknown command 'expriments'; did you mean experiments"),
        (["report"], "xaibench report takes one folder"),
        (["report", "one", "two"], "xaibench report takes one folder"),
        (["report", "run", "diffrence=0.05"], "unknown key 'diffrence'; did you mean difference"),
        (["report", "run", "--colour_map=magma"], "unknown key '--colour_map'; did you mean colour_map"),
        (["report", "run", "paper=yes"], "paper=yes is neither paper=true nor paper=false"),
        (["report", "run", "colour_map=infreno"], "unknown colour map 'infreno'; did you mean inferno"),
        (["report", "run", "difference=small"], "difference=small is no difference of means above 0"),
        (["report", "run", "difference=-0.05"], "difference=-0.05 is no difference of means above 0"),
        (["report", "run", "difference=nan"], "difference=nan is no difference of means above 0"),
        (["report", "run", "difference="], "difference= is no difference of means above 0"),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_what_was_meant(command, words, message):
    status, _, err = command(*words)
    assert status == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["layers=[layer3]"], "unknown layer 'layer3'"),
        (["layers=[]"], "layers is empty"),
        (["layers=[fc]"], "fc"),
        (["target=predictd"], "did you mean predicted"),
        (["target=8"], "target=8 is out of range: the model has classes 0 to 7"),
        (["score=logits"], "did you mean logit"),
        (["upsampling=bilinar"], "did you mean bilinear"),
        (["device=gpu"], "device must be auto, cpu, cuda or cuda:N"),
        (["batch_size=0"], "batch_size must be at least 1"),
        (["data.n=0"], "n"),
        (["data.variant=duo"], "duo"),
        (["metric.deletion.baseline=blakc"], "did you mean black"),
        (["metric.deletion.order.ties=rastr"], "did you mean raster"),
        (["sanity.parameter_randomization.scheme=initialisation"], "did you mean initialization"),
        (["sanity.parameter_randomization.granularity=layer"], "granularity"),
        (["timing=explanation_path", "timing.repeats=0"], "timing.repeats must be at least 1"),
        (["explainer.grad_cam.layers=[relu3]"], "unknown layer 'relu3'; did you mean relu"),
        (["model=own_models:smal"], "smal"),
        (["model=no_such_module:make"], "no_such_module"),
        (["model=resnet51"], "did you mean resnet5"),
        (["model=own_models:bare"], "preprocessing"),
        (["model=own_models:reused", "layers=[relu]"], "relu"),
        (["model=own_models:reused", "layers=[spare]"], "spare"),
        (["data=folder", "data.root=nowhere"], "nowhere"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(command, small_run, tmp_path, words, message):
    base = [word for word in small_run if "data=folder" not in words or not word.startswith("data.")]
    status, _, err = command(*base, *words)
    assert status in (1, 2)
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["run"], {"difference": None, "paper": False}),
        (["run", "difference=0.05"], {"difference": 0.05, "paper": False}),
        (["colour_map=magma", "run", "difference=5e-2"], {"difference": 0.05, "paper": False, "colour_map": "magma"}),
        (["run", "paper=true"], {"difference": None, "paper": True}),
    ],
)
def test_a_report_is_drawn_as_asked(command, monkeypatch, words, asked):
    from xaibench.report import redraw

    drawn = create_autospec(redraw.write_report)
    drawn.return_value.page = Path("run/report.html")
    monkeypatch.setattr(redraw, "write_report", drawn)
    status, out, err = command("report", *words)
    assert (status, out) == (0, "run/report.html\n"), err
    drawn.assert_called_once_with(Path("run"), **asked)


def test_a_folder_of_a_run_may_have_an_equals_sign(command):
    Path("seed=1").mkdir()
    status, _, err = command("report", "seed=1")
    assert (status, "seed=1 holds no run" in err) == (1, True)


def test_cuda_that_is_not_there_is_named(command, small_run):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    status, _, err = command(*small_run, "device=cuda")
    assert status == 1
    assert "there is no CUDA device here" in err


def test_layers_are_listed_with_their_shapes(command):
    status, out, _ = command("layers", "model=own_models:small")
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "16 × 8 × 8" in lines["relu2"]
    assert "4" in lines["relu2"].split()[-2]
    assert list(lines)[1:] == [name for name, _ in small().network.named_children()]


def test_metrics_are_explained(command):
    status, out, _ = command("metrics")
    assert status == 0
    assert "deletion  (Deletion)" in out
    assert "lower is better" in out


@pytest.mark.parametrize("words", [["--help"], ["data.m=3"], ["experiments"], ["metrics"]])
def test_help_errors_and_lists_do_not_wait_for_torch(words):
    code = f"import sys; from xaibench.cli import main; main({words!r}); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr


def test_help_names_every_choice(command):
    _, out, _ = command("--help")
    for group in (p for p in CONF.iterdir() if p.is_dir()):
        for name in choices(group.name):
            assert name in out


def test_importing_the_package_is_light():
    code = "import sys, xaibench; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_sweep_runs_every_combination(command, small_run, tmp_path):
    words = [word for word in small_run if not word.startswith("out=")]
    quick = ["sanity=none", "data.n=2", "metric=[energy_in_mask]", "explainer=[sobel]"]
    words = [word for word in words if not word.startswith(("sanity.", "curve_steps", "data.n"))]
    status, _, err = command("-m", *words, *quick, "seed=0,1")
    assert status == 0, err
    runs = [run for run in (tmp_path / "results").iterdir() if run.name.startswith("layers-")]
    assert len(runs) == 2


def test_the_configuration_is_found_in_the_checkout():
    assert conf_folder() == CONF
