"""How many examples a test that draws them takes."""

import hypothesis


def examples(thorough: int) -> int:
    """Return how many of a thorough run's examples this run takes: a fifth in the quick suite, all in CI."""
    return max(10, thorough * hypothesis.settings.default.max_examples // THOROUGH)


#: Of a test that sets none.
THOROUGH = 100
