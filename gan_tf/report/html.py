"""HTML from templates, with styles and scripts inside. A page loads nothing from anywhere, and its browser sees to that."""

import base64
import functools
import hashlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

MARK = '<meta name="generator" content="gan_tf">'
"""By which a page of this program is recognized."""

_FOLDER = Path(__file__).parent


def render(template: str, values: Mapping[str, Any]) -> str:
    """Returns a page.

    Args:
        template: a file below ``templates``.
        values: what it shows. All texts are escaped.
    """
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    """Returns the templates; they are compiled once."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _format_count
    styles = [_read_uplot("uPlot.min.css"), _read_asset("report.css")]
    scripts = [_read_uplot("uPlot.iife.js"), _read_asset("report.js")]
    environment.globals["styles"] = [Markup(style) for style in styles]
    environment.globals["scripts"] = [Markup(script) for script in scripts]
    environment.globals["mark"] = Markup(MARK)
    environment.globals["policy"] = _content_security_policy(scripts)
    return environment


def _read_asset(name: str) -> str:
    return (_FOLDER / "assets" / name).read_text(encoding="utf-8")


def _read_uplot(name: str) -> str:
    """Returns a file of uPlot, which draws the charts; uplot-python brings it along, and its Python code is not imported."""
    path = importlib.metadata.distribution("uplot-python").locate_file(f"uplot/static/{name}")
    return Path(str(path)).read_text(encoding="utf-8")


def _content_security_policy(scripts: list[str]) -> str:
    """Returns the policy by which a browser runs these scripts only, and loads nothing that is not in the page."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def _format_count(value: int) -> str:
    return f"{value:,}"
