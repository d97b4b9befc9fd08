"""Reads the data that a recipe names, tokenizes its texts, and makes batches of them."""

from featherweight.cache import cache_folder

__all__ = ["cache_folder"]
