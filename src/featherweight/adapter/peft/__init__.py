"""Adapters that were saved by PEFT or by transformers' Trainer."""
