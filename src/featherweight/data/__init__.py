"""Reads the texts that a recipe names, and makes batches of tokens from them."""

from featherweight.cache import cache_folder

__all__ = ["cache_folder"]
