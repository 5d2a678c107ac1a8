"""What an explanation costs: time and memory, phase by phase. `phases` has the function, `vocabulary` the words."""
