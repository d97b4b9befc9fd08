"""The HTML report, tables and plots of a comparison of rounds.

A round is one configuration, trained with one or more seeds; each seed gives one run.
"""
