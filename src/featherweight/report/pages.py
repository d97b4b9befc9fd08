"""The Jinja environment with the HTML templates of all reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def page_templates() -> Environment:
    """A Jinja environment with the templates in ``report/templates``; values are escaped for HTML."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("featherweight.report")
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
