"""The phases of an explanation and what each one means, known without torch so that reports can say it.

An explanation of one layer is the chain `EXPLANATION_PATH`; `explanation` is the same chain run in one go, timed on
its own as a check: the phases of a layer add up to it. `inference` and the two full backward passes belong to no layer.
"""

INFERENCE = "inference"
FORWARD_WITHOUT_HOOKS = "forward_without_hooks"
FORWARD = "forward_with_hooks"
BACKWARD = "backward_to_layer"
REDUCE = "reduce"
UPSAMPLE = "upsample"
COPY = "copy_to_host"
EXPLANATION = "explanation"
INPUT_BACKWARD = "backward_to_input"
FULL_BACKWARD = "full_backward"

PHASES: dict[str, str] = {
    INFERENCE: "plain forward pass in inference mode: none of our hooks, no graph",
    FORWARD_WITHOUT_HOOKS: "forward pass with the same graph, from the shallowest of the layers on, but none of our "
    "hooks; what it is short of forward_with_hooks is what hooks and bookkeeping cost",
    FORWARD: "forward pass with hooks on the layers, and the graph from the shallowest of them on",
    BACKWARD: "backward pass that stops at the shallowest of the layers; no parameter gradients",
    REDUCE: "from activations and gradients to maps: weights, weighted sum, rectification",
    UPSAMPLE: "from the layers' own resolution to the image's",
    COPY: "attributions to the host's memory; on a CPU they are there already, and this is what asking costs",
    EXPLANATION: "the phases of the path in one go, from images to attributions on the host, timed separately as a check",
    INPUT_BACKWARD: "backward pass down to the image, as gradient methods need it; no parameter gradients; its own "
    "forward pass is not counted",
    FULL_BACKWARD: "backward pass with the gradient of every parameter, down to the first one, as score.backward() "
    "does it; its own forward pass is not counted",
}
"""Every phase, in the order in which it is reported, with its meaning."""

EXPLANATION_PATH = (FORWARD, BACKWARD, REDUCE, UPSAMPLE, COPY)
"""The phases that follow one another in an explanation, and add up to it."""

HOOKS = "hooks"
"""What hooks and bookkeeping add to the forward pass: no phase of its own, but a difference of two."""


def joint_name(layers: tuple[str, ...]) -> str:
    """Name under which several layers explained together are reported: ``layer1.2+layer4.2``."""
    return "+".join(layers)
