"""The apps in examples/, imported by their paths."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from doc_pages import ROOT

EXAMPLES = ROOT / "examples"


def load(path: str) -> ModuleType:
    """Import an example, fresh: each test has its own users and logins."""
    spec = importlib.util.spec_from_file_location(f"example_{Path(path).stem}", EXAMPLES / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and SQLAlchemy look annotations up there
    spec.loader.exec_module(module)
    return module
