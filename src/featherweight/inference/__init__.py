"""A trained classifier: texts to labels, and predictions to files."""
