"""The sections of a recipe: each key with its type, its limits, its default and one sentence on what it does."""
