"""Evaluation of a run (metrics, calibration, errors), and comparison of several runs."""
