"""Outputs of the frozen lower layers: computed once, kept in a file, read in every epoch."""
