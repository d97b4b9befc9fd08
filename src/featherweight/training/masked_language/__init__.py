"""Task-adaptive pretraining: trains a backbone further on the training texts, by masked language modelling."""
