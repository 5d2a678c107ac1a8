import subprocess
import sys

from xaibench.metrics.cards import CARDS
from xaibench.metrics.catalogue import METRICS, SANITY


def test_every_metric_has_a_card_that_agrees_with_it():
    for name, metric in {**METRICS, **SANITY}.items():
        assert CARDS[name].higher_is_better is metric.higher_is_better


def test_cards_are_complete():
    recorded = (
        "parameter_randomization efficient_mprt random_logit data_randomization calibration coverage training_accuracy "
        "map_relative_error map_rank_correlation score_error area_error forward_passes_saved milliseconds "
        "ratio_to_inference peak_memory_mib confidence correct tied_fraction positive_fraction removal_error image "
        "reserved_memory_mib predicted_memory_mib graph_memory_mib captured_memory_mib hook_milliseconds "
        "phases_to_whole gflop gbyte percent_of_peak matrix_gflop_per_second copy_gbyte_per_second processor_mhz "
        "gpu_mhz load_average"
    )
    assert set(CARDS) == set(METRICS) | set(recorded.split())
    for name, card in CARDS.items():
        assert card.name == name
        for fact in ("title", "measures", "range", "cost", "traps", "source"):
            assert getattr(card, fact), f"{name}: {fact}"
            assert getattr(card, fact).strip() == getattr(card, fact)


def test_cards_do_not_wait_for_torch():
    code = "import sys, xaibench.metrics.cards; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
