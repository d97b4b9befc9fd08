"""Reads classifiers that were saved by PEFT or by transformers' Trainer, without Featherweight."""
