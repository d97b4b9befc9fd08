"""Figures of a run: accuracy with its interval, calibration and errors; and comparisons of runs."""
