"""What the shards of an experiment do, one module a kind: from tensors to records and maps."""
