import sys

import pytest
import torch
from torch import nn

from xaibench.models.user_models import call_user_function
from xaibench.models.weights import digest
from xaibench.names import UnknownName

SOURCE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def make():
    from user_parts import width
    return nn.Linear(width, 2)

def needy(classes, *, width=3):
    return nn.Linear(width, classes)

def number():
    return 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "user_net.py").write_text(SOURCE)
    (tmp_path / "user_parts.py").write_text("width = 5")
    (tmp_path / "user_broken.py").write_text("import a_module_that_nobody_has")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("user_net", "user_parts", "user_broken"):
        sys.modules.pop(name, None)


def test_a_function_in_the_current_folder_is_called(here):
    path = list(sys.path)
    network = call_user_function("user_net:make", seed=0)
    assert isinstance(network, nn.Linear)
    assert network.in_features == 5
    assert sys.path == path


def test_a_class_without_arguments_will_do_and_its_weights_follow_the_seed(here):
    state = torch.random.get_rng_state()
    first = call_user_function("user_net:Net", seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert digest(first) == digest(call_user_function("user_net:Net", seed=1))
    assert digest(first) != digest(call_user_function("user_net:Net", seed=2))


def test_an_installed_function_is_called():
    assert call_user_function("torchvision.models:squeezenet1_1", seed=0)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("user_net:", ValueError, "module:function"),
        (":make", ValueError, "module:function"),
        ("user_nett:make", ValueError, "no module 'user_nett'"),
        ("user_net.inner:make", ValueError, "no module"),
        ("user_net:makes", UnknownName, "did you mean make"),
        ("user_net:needy", TypeError, "needs classes"),
        ("user_net:number", TypeError, "not int"),
        ("user_broken:make", ModuleNotFoundError, "nobody_has"),
    ],
)
def test_what_cannot_be_called_is_said(here, name, error, message):
    with pytest.raises(error, match=message):
        call_user_function(name, seed=0)
