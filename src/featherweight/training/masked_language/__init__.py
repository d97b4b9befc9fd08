"""Masked language modelling on the training texts (task-adaptive pretraining), which gives another frozen backbone."""
