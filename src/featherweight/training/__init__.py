"""Training of an adapter: the training loop, its optimizer, checkpoints, history and signals."""
