"""Figures of a run: one module each, drawn from data into an `Axes`."""
