"""Recipe to texts, texts to token batches."""

from featherweight.cache import cache_folder

__all__ = ["cache_folder"]
