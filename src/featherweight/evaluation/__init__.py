"""Figures of a run: accuracy with its interval, calibration, mistakes, and honest comparison of two runs."""
