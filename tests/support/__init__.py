"""Makers of backbones, data, runs and results for tests and benchmarks."""
