"""Marking most cases of a long list as slow."""

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_slow(cases: Iterable[Any], quick: int = 4) -> list[Any]:
    """Mark all cases as slow except a few, evenly spread over the list, for `pytest.mark.parametrize`.

    Args:
        cases: The values of one parameter, or tuples of the values of several.
        quick: How many are not marked.
    """
    cases = list(cases)
    kept = {index * len(cases) // quick for index in range(quick)}
    return [case if index in kept else _slow(case) for index, case in enumerate(cases)]


def _slow(case: Any) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
