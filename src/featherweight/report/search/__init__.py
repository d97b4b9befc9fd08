"""The page of a search: its trials, the importance of each key, and accuracy against trained parameters."""
