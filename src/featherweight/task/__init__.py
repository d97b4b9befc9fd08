"""The tasks (one label per text, or several): loss, probabilities and decision."""
