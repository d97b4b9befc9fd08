"""Plots as PNG files and reports as self-contained HTML files, made from stored results without loading a model."""
