"""The phases of an explanation and what each one means, known without torch so that reports can say it.

An explanation of one layer is the chain `EXPLANATION_PATH`; `explanation` is the same chain run in one go, timed on
its own as a check: the phases of a layer add up to it. `inference` and `full_backward` belong to no layer.
"""

INFERENCE = "inference"
FORWARD = "forward_with_hooks"
BACKWARD = "backward_to_layer"
REDUCE = "reduce"
UPSAMPLE = "upsample"
EXPLANATION = "explanation"
FULL_BACKWARD = "full_backward"

PHASES: dict[str, str] = {
    INFERENCE: "plain forward pass in inference mode: none of our hooks, no graph",
    FORWARD: "forward pass with hooks on the layers, and the graph from the shallowest of them on",
    BACKWARD: "backward pass that stops at the shallowest of the layers; no parameter gradients",
    REDUCE: "from activations and gradients to maps: weights, weighted sum, rectification",
    UPSAMPLE: "from the layers' own resolution to the image's",
    EXPLANATION: "the four phases of the path in one go, from images to attributions, timed separately as a check",
    FULL_BACKWARD: "backward pass with the gradient of every parameter, down to the first one, as score.backward() "
    "does it; its own forward pass is not counted",
}
"""Every phase, in the order in which it is reported, with its meaning."""

EXPLANATION_PATH = (FORWARD, BACKWARD, REDUCE, UPSAMPLE)
"""The phases that follow one another in an explanation, and add up to it."""


def joint_name(layers: tuple[str, ...]) -> str:
    """Name under which several layers explained together are reported: ``layer1.2+layer4.2``."""
    return "+".join(layers)
