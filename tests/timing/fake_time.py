"""A clock that advances only when told to, a meter that counts, and a network whose passes take known time."""

import torch
from torch import Tensor, nn


class FakeClock:
    """Like a device's queue, it tells the time between marks only once it has been waited for."""

    name = "fake"
    overhead_ms = 0.0

    def __init__(self, resolution_ms: float = 1e-6) -> None:
        self.resolution_ms = resolution_ms
        self.now_ms = 0.0
        self._settled = True

    def advance(self, milliseconds: float) -> None:
        self.now_ms += milliseconds

    def settle(self) -> None:
        self._settled = True

    def mark(self) -> float:
        self._settled = False
        return self.now_ms

    def milliseconds(self, start: float, end: float) -> float:
        assert self._settled, "read before the device passed it"
        return end - start


class FakeMeter:
    """Reads 1, 2, 3, … MiB since the last reset, whatever happens."""

    method = "fake"
    reserved_mib = 8.0

    def __init__(self) -> None:
        self.readings = 0

    def __enter__(self) -> "FakeMeter":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def reset(self) -> None:
        self.readings = 0

    def peak_mib(self) -> float:
        self.readings += 1
        return float(self.readings)


class _Slow(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, stage):
        ctx.stage = stage
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.stage.backwards += 1
        ctx.stage.clock.advance(ctx.stage.backward_ms)
        return gradient.clone(), None


class Stage(nn.Module):
    """A convolution that counts its passes and makes the clock advance by their price."""

    def __init__(self, clock: FakeClock, forward_ms: float, backward_ms: float, channels: tuple[int, int]) -> None:
        super().__init__()
        self.clock, self.forward_ms, self.backward_ms = clock, forward_ms, backward_ms
        self.forwards = self.backwards = 0
        self.convolution = nn.Conv2d(*channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        self.forwards += 1
        self.clock.advance(self.forward_ms)
        return _Slow.apply(self.convolution(x), self)


class Staged(nn.Module):
    """Three stages: forward 1, 2 and 4 ms, backward 10, 20 and 40 ms; then pooling and a linear layer without price."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.first = Stage(clock, 1, 10, (3, 4))
        self.second = Stage(clock, 2, 20, (4, 4))
        self.third = Stage(clock, 4, 40, (4, 4))
        self.linear = nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.third(self.second(self.first(images))).mean(dim=(2, 3)))

    def passes(self) -> list[tuple[int, int]]:
        return [(stage.forwards, stage.backwards) for stage in (self.first, self.second, self.third)]
