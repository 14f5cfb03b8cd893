"""A small shared cache in front of an app, which keeps whatever RFC 9111 lets it keep."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from client import Page

#: Statuses that may be kept without a word about how long (RFC 9110, 15.1).
KEPT_BY_THEMSELVES = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})

Headers = dict[str, str]


@dataclass
class SharedCache:
    """Answers from what it has kept, and asks the app only for the rest.

    It is greedy: it keeps what it is not told not to keep, as long as it can, also answers that set cookies.
    """

    ask: Callable[[str, Headers], Awaitable[Page]]
    kept: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Page] = field(default_factory=dict)

    async def get(self, path: str, headers: Headers) -> Page:
        """Answer a GET request."""
        for (kept_path, names, values), page in self.kept.items():
            if kept_path == path and values == self._values(names, headers):
                return page
        page = await self.ask(path, headers)
        if self._may_keep(page, headers):
            names = tuple(name.strip().lower() for name in page.headers.get("Vary", "").split(",") if name.strip())
            self.kept[path, names, self._values(names, headers)] = page
        return page

    @staticmethod
    def _values(names: tuple[str, ...], headers: Headers) -> tuple[str, ...]:
        given = {name.lower(): value for name, value in headers.items()}
        return tuple(given.get(name, "") for name in names)

    @staticmethod
    def _may_keep(page: Page, headers: Headers) -> bool:
        control = {part.strip().lower().partition("=")[0] for part in page.headers.get("Cache-Control", "").split(",")}
        if control & {"no-store", "private"} or page.headers.get("Vary") == "*":
            return False
        if "Authorization" in headers and not control & {"public", "s-maxage", "must-revalidate"}:
            return False  # 3.5
        return page.status in KEPT_BY_THEMSELVES or bool(control & {"public", "s-maxage", "max-age"})
