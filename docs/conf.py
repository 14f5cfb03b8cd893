"""The documentation as a site: `sphinx-build -W --keep-going -n docs build/docs`.

It loads nothing from another host, and needs no network to be built.
"""

import sys
from pathlib import Path

from pygments.lexers import TextLexer
from pygments.lexers.sql import PostgresLexer
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import site_docstrings
import site_links

import quartlogin

project = "quartlogin"
version = release = quartlogin.__version__
html_title = f"quartlogin {version}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
myst_heading_anchors = 6  # `page.md#heading`, as on GitHub
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_copyright = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
python_display_short_literal_types = True
python_maximum_signature_line_length = 100
#: A name in backticks is a link where the reference has it, and otherwise code.
default_role = "py:obj"
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    ("py:.*", r"(?!quartlogin\.).*"),  # Python's and Quart's own, which have their own documentation
    ("py:class", r"quartlogin\.(accounts\.)?[a-z_]+\..*"),  # type variables, and internal classes in annotations
]


def setup(app: Sphinx) -> None:
    """Add what Sphinx has no setting for."""
    app.add_lexer("mermaid", TextLexer)  # as text: drawing it takes a script of another host
    app.add_lexer("sql", PostgresLexer)  # with `$1`
    site_links.setup(app)
    site_docstrings.setup(app)
