import math
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from xaibench.timing import machine_state
from xaibench.timing.machine_state import throttle_names


def state(device: str = "cpu"):
    return machine_state.machine_state(device)


def test_what_the_system_tells_is_passed_on(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(current=2600.0))
    monkeypatch.setattr(psutil, "getloadavg", lambda: (1.5, 9.0, 9.0))
    found = state()
    assert (found.processor_mhz, found.load) == (2600.0, 1.5)
    assert math.isnan(found.gpu_mhz)
    assert found.throttles == ()


@pytest.mark.parametrize("answer", [None, SimpleNamespace(current=0.0), OSError("no such file")])
def test_what_it_does_not_tell_is_unknown(monkeypatch, answer):
    def ask():
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(psutil, "cpu_freq", ask)
    monkeypatch.setattr(psutil, "getloadavg", lambda: (_ for _ in ()).throw(OSError()))
    found = state()
    assert math.isnan(found.processor_mhz)
    assert math.isnan(found.load)


def test_reasons_that_slow_down_are_told_from_idling():
    assert throttle_names(0x1) == ()  # idle
    assert throttle_names(0x4 | 0x40 | 0x1) == ("power cap", "thermal slowdown by the hardware")


class NVMLError(Exception):
    pass


@pytest.mark.parametrize("failing", [False, True])
def test_a_gpu_s_clock_and_throttling(monkeypatch, failing):
    def handle(uuid: str) -> str:
        if failing:
            raise NVMLError
        assert uuid == "GPU-1234"
        return "handle"

    nvml = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=handle,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda _: 0x20,
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1234"))
    monkeypatch.setattr(torch.cuda, "clock_rate", lambda _: 1980)
    monkeypatch.setattr(torch.cuda, "temperature", lambda _: 61)
    found = state("cuda:0")
    assert (found.gpu_mhz, found.gpu_celsius) == (1980.0, 61.0)
    assert found.throttles == (() if failing else ("thermal slowdown by the driver",))


def test_a_gpu_of_which_nvml_does_not_tell_is_unknown(monkeypatch):
    def unsupported(_: object) -> int:
        raise NVMLError("Not Supported")

    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(NVMLError=NVMLError, nvmlInit=lambda: unsupported(None)))
    monkeypatch.setattr(torch.cuda, "clock_rate", unsupported)
    found = state("cuda:0")
    assert math.isnan(found.gpu_mhz)
    assert found.throttles == ()


def test_a_gpu_without_nvml_is_unknown(monkeypatch):
    def missing(_: object) -> int:
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")

    monkeypatch.setattr(torch.cuda, "clock_rate", missing)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    found = state("cuda:0")
    assert math.isnan(found.gpu_mhz)
    assert found.throttles == ()
