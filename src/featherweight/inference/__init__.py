"""Using a trained classifier: predicting labels, and writing predictions to files."""
