"""Records: tidy rows, crash-safe storage, provenance. No torch."""
