"""The page of a search: its trials, what mattered, and accuracy against trained parameters."""
