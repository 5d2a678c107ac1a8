"""Several runs, or two files of benchmarks, side by side."""
