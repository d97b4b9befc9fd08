"""Plots of a run as PNG files, and the HTML report as one self-contained file. Reads only the run folder."""
