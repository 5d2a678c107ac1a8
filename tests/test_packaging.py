"""The wheel, alone in an empty environment's path, in an empty folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A folder with the wheel's contents, built from the checkout without isolation (the build backend is installed)."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site, folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = "import sys, xaibench; from xaibench.cli import main; print(xaibench.__file__); sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(str(site))
    return done.stdout


def test_the_wheel_holds_configuration_templates_and_weights(unpacked):
    for name in (
        "conf/config.yaml",
        "conf/experiment/layers.yaml",
        "report/page/templates/report.html.j2",
        "models/pretrained/shapes_resnet50.safetensors",
        "models/pretrained/shapes_resnet50.json",
    ):
        assert (unpacked / "xaibench" / name).is_file()


def test_the_wheel_runs_from_an_empty_folder(unpacked, tmp_path):
    run(unpacked, tmp_path, "debug=tiny", "data.n=2", "layers=[layer4.2]", "out=run")
    assert (tmp_path / "run" / "report.html").is_file()


def test_the_checkout_runs_from_any_folder(tmp_path):
    assert "layers" in run(ROOT, tmp_path, "experiments")
