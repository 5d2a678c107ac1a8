"""Time and memory of the explanation path: the cards."""

from xaibench.metrics.cards.card import Card

TIMING = (
    Card(
        name="milliseconds",
        family="timing",
        title="Time per image",
        measures="Median wall time of one phase of the explanation path, per image.",
        unit="ms",
        range="above 0",
        higher_is_better=False,
        cost="warm-up and repetitions of the phase",
        traps="Depends on device, threads, batch size and what else the machine does: compare within one run.",
        source="measured here, synchronised and warmed up",
    ),
    Card(
        name="ratio_to_inference",
        family="timing",
        title="Ratio to inference",
        measures="Time of a phase over the time of the model's plain forward pass on the same batch.",
        unit="",
        range="above 0",
        higher_is_better=False,
        cost="none beside the times",
        traps="A slow plain pass makes everything else look cheap.",
        source="measured here",
    ),
    Card(
        name="peak_memory_mib",
        family="timing",
        title="Peak memory",
        measures="Largest additional memory in use during a phase.",
        unit="MiB",
        range="at least 0",
        higher_is_better=False,
        cost="one repetition of the phase",
        traps="On a CPU it is the process's, with whatever the allocator keeps: an upper bound.",
        source="measured here",
    ),
)
