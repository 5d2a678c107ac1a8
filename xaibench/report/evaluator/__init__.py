"""How the ranking moves with each choice of a metric's conventions."""
