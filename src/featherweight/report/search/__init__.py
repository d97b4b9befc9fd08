"""The HTML page of a hyperparameter search: its trials, the importance of each key, accuracy over parameters."""
