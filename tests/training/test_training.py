from dataclasses import replace

import numpy as np
import pytest
import torch

from xaibench.training import training
from xaibench.training.recipe import Cycle, Phase, Recipe
from xaibench.training.training import CHECKPOINT, initial_model, parameter_groups, train

TINY = Recipe(
    width_per_group=4,
    phases=(Phase(32, 1, window=(1.1, 1.5), texture=(0.0, 1.0)), Phase(32, 1)),
    cycles=(Cycle(1, 1e-3, horizon=2), Cycle(1, 1e-3, horizon=1)),
    images_per_round=16,
    n_train=24,
    n_validation=8,
    n_test=16,
    image_size_px=32,
    batch_size=8,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return train(TINY, tmp_path_factory.mktemp("undisturbed"), progress=False)


def weights(result):
    return result.model.state_dict()


def test_the_result_is_in_evaluation_mode_and_exact_in_half_precision(undisturbed):
    assert not undisturbed.model.training
    for tensor in weights(undisturbed).values():
        if tensor.is_floating_point():
            assert tensor.dtype == torch.float32
            torch.testing.assert_close(tensor, tensor.half().float(), rtol=0, atol=0)


def test_the_curve_has_a_row_a_round_and_accuracies_are_fractions_of_the_test_images(undisturbed):
    assert [(row["round"], row["size_px"], row["images"]) for row in undisturbed.curve] == [(1, 32, 16), (2, 32, 32)]
    assert (undisturbed.accuracy * 16) % 1 == 0
    assert len(undisturbed.accuracy_by_class) == 8
    assert np.mean(list(undisturbed.accuracy_by_class.values())) == pytest.approx(undisturbed.accuracy)


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(undisturbed, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    save = training._save

    def save_then_die(*arguments):
        save(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training, "_save", save_then_die)
        with pytest.raises(Killed):
            train(TINY, tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    torch.manual_seed(99)  # nothing comes from the global generator
    resumed = train(TINY, tmp_path, progress=False)
    for name, tensor in weights(undisturbed).items():
        torch.testing.assert_close(weights(resumed)[name], tensor, rtol=0, atol=0)
    losses = [[row["loss"] for row in result.curve] for result in (resumed, undisturbed)]
    assert losses[0] == losses[1]


def test_a_run_killed_while_writing_keeps_the_last_whole_checkpoint(undisturbed, tmp_path):
    (tmp_path / f"{CHECKPOINT}.part").write_bytes(b"half of a checkpoint")
    again = train(TINY, tmp_path, progress=False)
    assert [row["loss"] for row in again.curve] == [row["loss"] for row in undisturbed.curve]


def test_training_leaves_the_global_generator_alone(tmp_path):
    before = torch.get_rng_state()
    initial_model(TINY)
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)


def test_another_recipes_checkpoint_is_refused(tmp_path):
    model = initial_model(TINY)
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.0))
    training._save(TINY, tmp_path / CHECKPOINT, model, optimizer, 1, [])
    with pytest.raises(ValueError, match=r"belongs to another recipe \(different: seed, warmup_fraction\)"):
        train(replace(TINY, seed=1, warmup_fraction=0.5), tmp_path, progress=False)


def test_an_unreadable_checkpoint_is_refused(tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"(?s)is no readable checkpoint; move it away to train from the beginning"):
        train(TINY, tmp_path, progress=False)


def test_weight_decay_spares_norms_and_biases():
    decayed, spared = parameter_groups(initial_model(TINY), 0.1)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert {parameter.ndim for parameter in decayed["params"]} == {2, 4}
    assert {parameter.ndim for parameter in spared["params"]} == {1}


def test_the_rate_of_learning_rises_linearly_and_falls_to_zero():
    cycles = (Cycle(50, 1.0, horizon=50),)
    recipe = replace(TINY, phases=(Phase(32, 50),), cycles=cycles, warmup_fraction=0.1)  # 100 steps
    rates = [recipe.learning_rate_at(step) for step in range(100)]
    np.testing.assert_allclose(np.diff(rates[:10]), 1 / 11)
    assert np.argmax(rates) == 10
    assert rates[10] == 1
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[55] == pytest.approx(0.5)


def test_a_cycle_can_end_early_and_the_next_begins_anew():
    whole = replace(TINY, phases=(Phase(32, 50),), cycles=(Cycle(50, 1.0, horizon=50),))
    cut = replace(TINY, phases=(Phase(32, 50),), cycles=(Cycle(20, 1.0, horizon=50), Cycle(30, 0.5, horizon=30)))
    steps = range(100)
    rates = [[recipe.learning_rate_at(step) for step in steps] for recipe in (whole, cut)]
    assert rates[0][:40] == rates[1][:40]
    assert rates[1][40] < rates[1][39]
    assert max(rates[1][40:]) <= 0.5


@pytest.mark.parametrize(("change", "message"), [
    ({"cycles": (Cycle(3, 1.0, horizon=3),)}, "must add up"),
    ({"cycles": (Cycle(2, 1.0, horizon=1),)}, "at most its horizon"),
    ({"phases": ()}, "at least one round"),
    ({"phases": (Phase(64, 1),)}, "sizes from 1 to image_size_px=32"),
    ({"batch_size": 17}, "batch_size <= images_per_round"),
    ({"test_seed": 1001}, "must differ"),
])  # fmt: skip
def test_impossible_recipes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)
