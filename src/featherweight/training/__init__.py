"""Model and batches to a trained adapter: the manual loop and what it stands on."""
