"""Adapters that PEFT or transformers' Trainer saved."""
