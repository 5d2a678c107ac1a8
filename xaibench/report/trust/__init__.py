"""Can the metrics be trusted: agreement among them, agreement with masks, reaction to corrupted maps."""
