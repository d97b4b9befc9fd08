"""Reads classifiers that were trained without Featherweight, and saved by PEFT or by transformers' Trainer."""
