"""The environment of the templates of all pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def page_templates() -> Environment:
    """The templates in ``report/templates``; all values are escaped."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("featherweight.report")
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
