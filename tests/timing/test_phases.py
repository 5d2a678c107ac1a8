import json
import math

import pytest
import torch
from fake_time import FakeClock, FakeMeter, Staged
from torch import nn

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.errors import LayerError
from xaibench.names import UnknownName
from xaibench.timing import works
from xaibench.timing.clock import Clock
from xaibench.timing.conditions import conditions
from xaibench.timing.phases import PhaseTiming, time_explanation_path
from xaibench.timing.vocabulary import EXPLANATION, EXPLANATION_PATH, PHASES

IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([1, 4])


def timings_of(
    model: nn.Module, clock: Clock, layers: list[str], **options: object
) -> dict[tuple[str, str], PhaseTiming]:
    options = {"repeats": 4, "warmup": 3, "clock": clock, "meter": FakeMeter(), "targets": TARGETS, **options}
    rows = time_explanation_path(model, IMAGES, layers, **options)
    return {(row.layer, row.phase): row for row in rows}


def test_each_phase_gets_its_own_time():
    clock = FakeClock()
    rows = timings_of(Staged(clock), clock, ["second", "third"])
    milliseconds = {key: row.milliseconds for key, row in rows.items()}
    # two images: half of the batch's time each. The backward pass to a layer leaves out the layer itself.
    expected = {("", "inference"): 3.5, ("", "backward_to_input"): 35.0, ("", "full_backward"): 35.0}
    for layer, backward in {"second": 20.0, "third": 0.0, "second+third": 20.0}.items():
        expected |= {
            (layer, "forward_without_hooks"): 3.5,
            (layer, "forward_with_hooks"): 3.5,
            (layer, "backward_to_layer"): backward,
            (layer, "reduce"): 0.0,
            (layer, "upsample"): 0.0,
            (layer, "copy_to_host"): 0.0,
            (layer, "explanation"): 3.5 + backward,
        }
    assert milliseconds == {key: (value,) * 4 for key, value in expected.items()}
    assert {phase for _, phase in rows} == set(PHASES)
    assert rows["", "full_backward"].ratio_to_inference == 10.0
    assert rows["second", "backward_to_layer"].ratio_to_inference == 20 / 3.5


def test_passes_run_are_those_of_the_phases_and_no_more():
    clock = FakeClock()
    model = Staged(clock)
    timings_of(model, clock, ["second", "third"], repeats=4, warmup=3)
    rounds = 4 + 3 + 1 + 1  # and one for memory, one to count
    # inference, two full backwards; path, whole and forward without hooks for two layers and for both together; and one
    # for the sizes of what is captured
    forwards = rounds * (1 + 2 + 3 * 3) + 1
    # the first stage is gone through by the full backwards only; the second by them alone too, as the path ends after
    # it; the third by the path and the whole, to `second` and to both
    assert model.passes() == [(forwards, 2 * rounds), (forwards, 2 * rounds), (forwards, rounds * (2 + 2 * 2))]


def test_nothing_is_counted_where_it_is_not_asked_for():
    clock = FakeClock()
    model = Staged(clock)
    row = timings_of(model, clock, ["third"], repeats=1, warmup=0, counted=False)["third", "forward_with_hooks"]
    assert model.first.forwards == 2 * 6
    assert math.isnan(row.needs.operations)
    assert math.isnan(row.captured_mib)


def test_rounds_alternate_in_direction_and_every_repetition_keeps_its_place():
    clock = FakeClock()
    rows = timings_of(Staged(clock), clock, ["third"], repeats=3)
    # the path stands between the two that it is compared with
    assert rows["", "inference"].positions == (0, 11, 12)
    assert rows["third", "explanation"].positions == (1, 10, 13)
    assert rows["third", "reduce"].positions == rows["third", "upsample"].positions == (2, 9, 14)
    assert rows["third", "forward_without_hooks"].positions == (3, 8, 15)
    assert rows["", "backward_to_input"].positions == (4, 7, 16)
    assert rows["", "full_backward"].positions == (5, 6, 17)


def test_an_outlier_is_kept_and_the_median_does_not_follow_it():
    clock = FakeClock()
    model = Staged(clock)

    def stumble(*_: object) -> None:
        clock.advance(1000.0 if model.first.forwards == 6 * 3 + 1 else 0.0)  # first timed run of inference

    model.third.register_forward_hook(stumble)
    row = timings_of(model, clock, ["third"], repeats=5)["", "inference"]
    assert row.milliseconds == (503.5, 3.5, 3.5, 3.5, 3.5)
    assert row.median_ms == 3.5
    assert row.quartiles_ms == (3.5, 3.5)


def test_quartiles_interpolate_and_one_repetition_has_no_spread():
    def row(*milliseconds: float) -> PhaseTiming:
        return PhaseTiming("", "inference", milliseconds, 1.0, 0.0, "", "", "", 1, (), 0)

    assert row(1.0, 2.0, 3.0, 4.0).quartiles_ms == (1.75, 3.25)
    assert row(7.0).quartiles_ms == (7.0, 7.0)


def test_full_backward_gives_every_parameter_a_gradient_and_the_path_none():
    clock = FakeClock()
    model = Staged(clock)
    for parameter in model.first.parameters():
        parameter.requires_grad_(False)  # simple code has all flags on; so has this phase
    seen = []

    class Probe:
        def start(self):
            pass

        def end(self, phase):
            seen.append((phase, {name for name, p in model.named_parameters() if p.grad is not None}))

    works.full_backward(model, IMAGES, TARGETS, score="logit").run(Probe())
    explainer = GradCAM(("second",))
    works.explanation_path(model, IMAGES, TARGETS, explainer).run(Probe())
    everything = {name for name, _ in model.named_parameters()}
    assert seen == [("full_backward", everything)] + [(phase, set()) for phase in EXPLANATION_PATH]


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails):
    clock = FakeClock()
    model = Staged(clock)
    model.third.eval()
    model.linear.bias.requires_grad_(False)
    kept = torch.full_like(model.linear.weight, 7.0)
    model.linear.weight.grad = kept
    if fails:  # in the middle of a full backward pass, at its first stage

        def explode(*_: object) -> None:
            raise ArithmeticError("planted")

        model.first.convolution.weight.register_hook(explode)
    training = {name: module.training for name, module in model.named_modules()}
    learning = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    hooks = {name: len(module._forward_hooks) for name, module in model.named_modules()}
    random_state = torch.get_rng_state()
    if fails:
        with pytest.raises(ArithmeticError, match="planted"):
            timings_of(model, clock, ["second"])
    else:
        timings_of(model, clock, ["second"])
    assert {name: module.training for name, module in model.named_modules()} == training
    assert {name: parameter.requires_grad for name, parameter in model.named_parameters()} == learning
    assert {name: len(module._forward_hooks) for name, module in model.named_modules()} == hooks
    assert torch.equal(torch.get_rng_state(), random_state)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert list(gradients) == ["linear.weight"]
    assert gradients["linear.weight"] is kept
    assert (kept == 7.0).all()


def test_memory_is_read_at_the_end_of_each_phase():
    clock = FakeClock()
    rows = timings_of(Staged(clock), clock, ["third"])
    assert [rows["third", phase].peak_memory_mib for phase in EXPLANATION_PATH] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert rows["third", "explanation"].peak_memory_mib == rows["", "inference"].peak_memory_mib == 1.0
    assert rows["third", "reduce"].memory_method == "fake"
    assert rows["third", "reduce"].reserved_memory_mib == 8.0


def test_what_is_counted_stands_beside_what_is_measured():
    clock = FakeClock()
    rows = timings_of(Staged(clock), clock, ["second", "third"])
    # 2 images of 6 × 6: three convolutions of 3 × 3, a linear layer; two operations a multiply-add
    convolutions = [2 * 2 * 36 * 9 * inputs * 4 for inputs in (3, 4, 4)]
    linear = 2 * 2 * 4 * 5
    assert rows["", "inference"].needs.operations == sum(convolutions) + linear
    assert rows["second", "forward_with_hooks"].needs.operations == sum(convolutions) + linear
    assert rows["second", "forward_without_hooks"].needs.operations == sum(convolutions) + linear
    assert rows["third", "backward_to_layer"].needs.operations == linear
    assert rows["second", "backward_to_layer"].needs.operations == convolutions[2] + linear
    assert rows["", "backward_to_input"].needs.operations == sum(convolutions) + linear
    # every gradient but the image's: of the input and of the weight of each, but for the first one
    assert rows["", "full_backward"].needs.operations == 2 * sum(convolutions) - convolutions[0] + 2 * linear
    layer_mib = 2 * 2 * 4 * 36 * 4 / 2**20  # output and gradient
    captured = {layer: row.captured_mib for (layer, phase), row in rows.items() if phase == "reduce"}
    assert captured == {"second": layer_mib, "third": layer_mib, "second+third": 2 * layer_mib}


def test_a_clock_too_coarse_is_said_so():
    clock = FakeClock(resolution_ms=0.5)
    rows = timings_of(Staged(clock), clock, ["second"])
    assert rows["", "full_backward"].reason == ""  # 70 ms for the batch; the limit is 100 × 0.5 ms
    assert "7 ms is under 100 times the resolution of fake, 0.5 ms" in rows["", "inference"].reason
    assert "too short" in rows["second", "reduce"].reason


def test_time_running_out_shortens_and_says_so():
    clock = FakeClock()
    # a round takes 7 + 47 + 47 + 7 + 77 + 77 ms with `second`'s three runs and the full backwards' own forwards
    rows = timings_of(Staged(clock), clock, ["second"], repeats=50, warmup=50, max_seconds=1.0)
    row = rows["", "inference"]
    assert 1 <= len(row.milliseconds) < 50
    assert f"{len(row.milliseconds)} of 50 repetitions" in row.reason
    assert {len(other.milliseconds) for other in rows.values()} == {len(row.milliseconds)}
    assert clock.now_ms < 1000 + 3 * 262 + 7


def test_cold_runs_are_marked():
    clock = FakeClock()
    row = timings_of(Staged(clock), clock, ["third"], warmup=0)["", "inference"]
    assert row.warmup_runs == 0
    assert "not yet warm after 0 warm-up runs" in row.reason


def test_inference_without_duration_has_no_ratio():
    clock = FakeClock()
    model = Staged(clock)
    model.first.forward_ms = model.second.forward_ms = model.third.forward_ms = 0
    assert math.isnan(timings_of(model, clock, ["second"])["second", "backward_to_layer"].ratio_to_inference)


@pytest.mark.parametrize(
    ("layers", "options", "error", "match"),
    [
        ([], {}, ValueError, "layers must be a list of one or more"),
        (["third", "third"], {}, ValueError, "third came twice"),
        (["thrid"], {}, UnknownName, "did you mean third"),
        (["linear"], {}, LayerError, "linear"),
        (["third"], {"repeats": 0}, ValueError, "repeats: expected at least 1, got 0"),
        (["third"], {"warmup": -1}, ValueError, "warmup"),
        (["third"], {"max_seconds": math.nan}, ValueError, "max_seconds"),
        (["third"], {"method": "grad_cma"}, UnknownName, "did you mean grad_cam"),
        (["third"], {"targets": torch.tensor([0, 5])}, ValueError, "out of range"),
    ],
)
def test_bad_input(layers, options, error, match):
    clock = FakeClock()
    with pytest.raises(error, match=match):
        timings_of(Staged(clock), clock, layers, **options)


def test_an_empty_batch_and_a_model_elsewhere_are_refused():
    clock = FakeClock()
    with pytest.raises(ValueError, match="at least one image"):
        time_explanation_path(Staged(clock), IMAGES[:0], ["third"], targets=TARGETS[:0])
    with pytest.raises(ValueError, match="images are on cpu, the model is on meta"):
        time_explanation_path(Staged(clock).to("meta"), IMAGES, ["third"], targets=TARGETS)


class Tokens(nn.Module):
    """Puts out one token a pixel between two that belong to none, (B, 38, 4): no grid that could be guessed."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(3, 4), nn.Linear(4, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.flatten(2).transpose(1, 2)
        return self.head(self.embed(nn.functional.pad(pixels, (0, 0, 1, 1))).mean(dim=1))


def test_a_token_grid_of_one_s_own_reaches_every_piece_of_work():
    def grid(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, 1:-1].transpose(1, 2).unflatten(2, (6, 6))

    clock = FakeClock()
    rows = timings_of(Tokens(), clock, ["embed"], token_grid=grid, repeats=1, warmup=0)
    assert {phase for _, phase in rows} == set(PHASES)
    assert rows["embed", "forward_with_hooks"].captured_mib == 2 * (2 * 4 * 36) * 4 / 2**20
    with pytest.raises(LayerError, match="token_grid"):
        timings_of(Tokens(), clock, ["embed"])


def test_with_the_machine_s_own_clock_and_meter():
    model = Staged(FakeClock())
    rows = time_explanation_path(model, IMAGES, ["second"], targets=TARGETS, repeats=2, max_seconds=5.0)
    assert [row.phase for row in rows] == [
        "inference", EXPLANATION, *EXPLANATION_PATH, "forward_without_hooks", "backward_to_input", "full_backward"
    ]  # fmt: skip
    assert all(duration > 0 for row in rows for duration in row.milliseconds)
    assert all(row.device.startswith("cpu (") and row.clock == "time.perf_counter_ns" for row in rows)


def test_conditions_are_plain_and_tell_layout_and_precision():
    model = Staged(FakeClock()).to(memory_format=torch.channels_last).to(torch.bfloat16)
    found = conditions(model, IMAGES, clock=FakeClock())
    assert json.loads(json.dumps(found)) == found
    assert found["weights_memory_format"] == "channels_last"
    assert found["images_memory_format"] == "contiguous"
    assert found["parameter_dtypes"] == ["bfloat16"]
    assert found["image_dtype"] == "float32"
    assert found["threads"] == torch.get_num_threads()
