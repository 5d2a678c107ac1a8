"""Runs shards, one after the other."""
