"""The classes of the data set AG News."""

from __future__ import annotations

AG_NEWS = ("World", "Sports", "Business", "Sci/Tech")
"""Classes of AG News and of the built-in newsbriefs, in the order of their numbers."""
