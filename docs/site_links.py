"""Lead the links of a page to where their targets are in the site, and its toctrees to the pages of index.md.

The pages are written for a reader of the repository: they link to files beside `docs/`. The site has a page for each of
the Markdown files there (`docs/project/`), a copy of each file of code, and nothing for a folder.
"""

import os
import re
from functools import partial
from pathlib import Path, PurePosixPath

from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
#: The Markdown files beside `docs/`, and the pages that include them.
PROJECT_PAGES = {
    "README.md": "project/readme.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security-policy.md",
}
_LINK = re.compile(
    r"\[(?P<text>(?:[^][]|\[[^]]*\]\([^)]*\))*)\]"  # which may be a picture, itself a link
    r"\((?!\w+:|#|/)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]+)?\)"
)
_SECTION = re.compile(r"^## (?P<title>.+)\n+(?P<table>(?:\|.*\n)+)", re.MULTILINE)
_FIRST_CELL = re.compile(r"^\| \[([^]]+)\]\(/([^)]+)\.md\)", re.MULTILINE)


def setup(app: Sphinx) -> None:
    """Register the rewriting of pages and of what they include."""
    app.connect("source-read", lambda _app, page, source: rewrite_page(f"docs/{page}.md", source))
    app.connect("include-read", lambda _app, path, _page, source: rewrite_page(_from_root(path), source))


def rewrite_page(path: str, source: list[str]) -> None:
    """Change the text of one Markdown file, whose path counts from the repository's root."""
    source[0] = _LINK.sub(partial(_rewrite_link, PurePosixPath(path).parent), source[0])
    if path == "docs/index.md":
        source[0] = _SECTION.sub(_add_toctree, source[0])


def _from_root(path: Path) -> str:
    return os.path.relpath(ROOT / "docs" / path, ROOT)


def _rewrite_link(folder: PurePosixPath, link: re.Match[str]) -> str:
    text = _LINK.sub(partial(_rewrite_link, folder), link["text"])  # a picture that is a link
    target = os.path.normpath(folder / link["path"])
    if (ROOT / target).is_dir():
        return text
    in_docs = PROJECT_PAGES.get(target) or os.path.relpath(target, "docs")
    return f"[{text}](/{in_docs}{link['anchor'] or ''})"


def _add_toctree(section: re.Match[str]) -> str:
    """Add the pages of a section's table to the side bar, below the section's title."""
    pages = "\n".join(f"{title} <{page}>" for title, page in _FIRST_CELL.findall(section["table"]))
    return f"{section[0]}\n```{{toctree}}\n:hidden:\n:caption: {section['title']}\n\n{pages}\n```\n"
