"""A sequence diagram of recorded requests: an SVG without script, for pages, files and docs.

It is 400 units wide, so that it can be read on a phone: the text of an arrow may be wider than the arrow.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from .arrows import Arrow, Lane, arrows_of, title_of
from .folding import Block, fold
from .names import Names
from .recorder import Recording
from .svg_text import clean, width_of, wrap

#: The styles, for a page whose Content-Security-Policy allows them by their hash.
STYLE: Final = """
.quartlogin-diagram{--paper:#fff;--ink:#1f2328;--quiet:#59636e;--line:#818b98;--mark:#0550ae;--tint:#ddf4ff;--fault:#b3261e;
--band:#f0f2f5;max-width:100%;height:auto;font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
@media(prefers-color-scheme:dark){.quartlogin-diagram{--paper:#0d1117;--ink:#f0f6fc;--quiet:#9aa4af;--line:#6e7681;
--mark:#79c0ff;--tint:#0c2d5b;--fault:#ff8e86;--band:#1c232c}}
.quartlogin-diagram .paper{fill:var(--paper)}
.quartlogin-diagram .band{fill:var(--band)}
.quartlogin-diagram .tint{fill:var(--tint)}
.quartlogin-diagram text{fill:var(--ink);text-anchor:middle}
.quartlogin-diagram .said{stroke:var(--paper);stroke-width:4px;stroke-linejoin:round;paint-order:stroke}
.quartlogin-diagram .title{font-weight:600;text-anchor:start}
.quartlogin-diagram .head{font-size:11px;font-weight:600}
.quartlogin-diagram .quiet{fill:var(--quiet);font-size:11px;text-anchor:end}
.quartlogin-diagram .lane{stroke:var(--line);stroke-dasharray:2 3}
.quartlogin-diagram .arrow,.quartlogin-diagram .note{stroke:var(--ink);stroke-width:1.3;fill:none}
.quartlogin-diagram .note{fill:var(--paper)}
.quartlogin-diagram .answer{stroke-dasharray:5 3}
.quartlogin-diagram .tip{fill:var(--ink)}
.quartlogin-diagram .loop{stroke:var(--quiet);fill:none}
.quartlogin-diagram .number{fill:var(--paper);stroke:var(--ink)}
.quartlogin-diagram .digits{font-size:10px}
.quartlogin-diagram .fault .said,.quartlogin-diagram .fault .noted{fill:var(--fault)}
.quartlogin-diagram .fault .arrow,.quartlogin-diagram .fault .note{stroke:var(--fault)}
.quartlogin-diagram .fault .tip{fill:var(--fault)}
.quartlogin-diagram .decisive .said,.quartlogin-diagram .decisive .noted{font-weight:600}
.quartlogin-diagram .decisive .said{stroke:var(--tint)}
.quartlogin-diagram .decisive .arrow{stroke-width:2.5}
.quartlogin-diagram .decisive .bar,.quartlogin-diagram .decisive .number{fill:var(--mark);stroke:var(--mark)}
.quartlogin-diagram .decisive .digits{fill:var(--paper)}
.quartlogin-diagram .decisive .decided{fill:var(--mark);font-weight:600;font-size:11px;text-anchor:start}
"""

_HEADS: Final[Mapping[Lane, Sequence[str]]] = {
    Lane.BROWSER: ["Browser"],
    Lane.APP: ["Quart", "app"],
    Lane.QUARTLOGIN: ["quartlogin"],
    Lane.COOKIES: ["Session", "cookie"],
    Lane.LOADER: ["User", "loader"],
    Lane.DATABASE: ["Database"],
}
_WIDTH: Final = 400
_SHOWN_WIDTH: Final = 520  # CSS pixels, where there is room
_FONT: Final = 13
_BOLD: Final = 1.1  # bold text is wider
_LINE: Final = 16
_HEAD: Final = 40
_BAND: Final = 26
_EDGE: Final = 8
_MOST_LINES: Final = 3
_MOST_LINES_OF_TITLE: Final = 2
_RADIUS: Final = 8
_MOST_TITLES: Final = 3  # in the name of the image
_MOST_DESCRIBED: Final = 60  # arrows


def draw(recordings: Sequence[Recording], *, decisive: int | None = None, times: bool = True) -> str:
    """Draw requests as one sequence diagram.

    The number of a step links to `#step-1` and so on.

    Args:
        recordings: One or several, in their order.
        decisive: The position of the step that decided, among all steps of the recordings, from 0.
        times: Whether to write how long steps took, and the ids as they are. Without, the same steps give the same
            diagram at each run.
    """
    names, first, parts = Names(as_recorded=times), 1, []
    for recording in recordings:
        arrows = arrows_of(recording, names, first=first, decisive=None if decisive is None else decisive + 1)
        first += len(recording.steps)
        parts.append((title_of(recording) + (_duration_of(recording) if times else ""), arrows))
    all_arrows = [arrow for _, arrows in parts for arrow in arrows]
    return _Drawing(_lanes_of(all_arrows), _heads_of(recordings), times=times).svg(parts)


def _lanes_of(arrows: Sequence[Arrow]) -> list[Lane]:
    always = {Lane.BROWSER, Lane.APP, Lane.QUARTLOGIN}
    return sorted(always.union(*({arrow.source, arrow.target} for arrow in arrows)))


def _heads_of(recordings: Sequence[Recording]) -> Mapping[Lane, Sequence[str]]:
    """Return the names of the lanes, in one or two lines."""
    has_others = any(recording.last(name) for recording in recordings for name in ("remember_cookie", "restored"))
    return {**_HEADS, Lane.COOKIES: ["Cookies"]} if has_others else _HEADS


def _duration_of(recording: Recording) -> str:
    return f", {_milliseconds(recording.steps[-1].at - recording.steps[0].at)}" if recording.steps else ""


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.{0 if seconds >= 0.1 else 1}f} ms"  # noqa: PLR2004 -- 100 ms need no tenths


class _Drawing:
    """Places one row below the other."""

    def __init__(self, lanes: Sequence[Lane], heads: Mapping[Lane, Sequence[str]], *, times: bool) -> None:
        self._names = heads
        room = _WIDTH / len(lanes)
        self._at = {lane: round(room * (index + 0.5)) for index, lane in enumerate(lanes)}
        self._times = times
        self._y = 0
        self._parts: list[str] = []

    def svg(self, parts: Sequence[tuple[str, Sequence[Arrow]]]) -> str:
        """Return the whole image."""
        for title, arrows in parts:
            self._band(title)
            self._heads()
            begin = self._y
            at = len(self._parts)
            for block in fold(arrows):
                self._block(block)
            self._parts[at:at] = [f'<path class="lane" d="M{x} {begin}V{self._y + 4}"/>' for x in self._at.values()]
            self._y += 12
        return self._framed([title for title, _ in parts], [arrow for _, arrows in parts for arrow in arrows])

    def _framed(self, titles: Sequence[str], arrows: Sequence[Arrow]) -> str:
        height = max(self._y, _BAND)
        shown = f'width="{_SHOWN_WIDTH}" height="{round(height * _SHOWN_WIDTH / _WIDTH)}"'
        name = clean("; ".join(titles[:_MOST_TITLES]) + ("; …" if len(titles) > _MOST_TITLES else "") or "No requests")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="quartlogin-diagram" role="img" '
            f'viewBox="0 0 {_WIDTH} {height}" {shown}>\n'
            f"<title>Sequence diagram: {name}</title>\n<desc>{clean(self._description(arrows))}</desc>\n"
            f'<style>{STYLE}</style>\n<rect class="paper" width="{_WIDTH}" height="{height}"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )

    def _description(self, arrows: Sequence[Arrow]) -> str:
        names = {lane: " ".join(lines) for lane, lines in self._names.items()}
        shown = arrows[:_MOST_DESCRIBED]
        texts = [
            f"{names[arrow.source]}{'' if arrow.source is arrow.target else f' to {names[arrow.target]}'}: {arrow.text}"
            for arrow in shown
        ]
        rest = [f"{len(arrows) - len(shown)} more steps"] if len(arrows) > len(shown) else []
        return ". ".join([*texts, *rest])

    def _band(self, title: str) -> None:
        lines = wrap(title, (_WIDTH - 2 * _EDGE) / (_FONT * _BOLD), _MOST_LINES_OF_TITLE)
        height = _BAND + _LINE * (len(lines) - 1)
        self._parts.append(f'<rect class="band" y="{self._y}" width="{_WIDTH}" height="{height}"/>')
        self._parts += _lines(lines, _EDGE, self._y + 18, "title")
        self._y += height

    def _heads(self) -> None:
        for lane, x in self._at.items():
            self._parts += _lines(self._names[lane], x, self._y + 16, "head", 13)
        self._y += _HEAD

    def _block(self, block: Block) -> None:
        begin = self._y
        if block.times > 1:
            self._y += 14
        for arrow in block.arrows:
            self._row(arrow)
        if block.times > 1:
            self._y += 4
            self._parts.append(
                f'<rect class="loop" x="3" y="{begin + 2}" width="{_WIDTH - 6}" height="{self._y - begin - 4}" rx="4"/>'
                f'<text class="quiet said" x="{_WIDTH - _EDGE}" y="{begin + 14}">{block.times} times</text>'
            )

    def _row(self, arrow: Arrow) -> None:
        parts, height = self._note(arrow) if arrow.source is arrow.target else self._arrow(arrow)
        height += _LINE if arrow.is_decisive else 0
        kinds = (("fault", arrow.is_bad), ("decisive", arrow.is_decisive))
        self._parts.append(f'<g class="{" ".join(kind for kind, is_given in kinds if is_given)}">')
        self._parts += self._decision(height) if arrow.is_decisive else []
        self._parts += [*parts, "</g>"]
        self._y += height

    def _decision(self, height: int) -> list[str]:
        """Return what marks a row as that of the step that decided."""
        return [
            f'<rect class="tint" y="{self._y}" width="{_WIDTH}" height="{height}"/>',
            f'<rect class="bar" y="{self._y}" width="4" height="{height}"/>',
            f'<text class="decided" x="{_EDGE}" y="{self._y + height - 5}">This step decided.</text>',
        ]

    def _arrow(self, arrow: Arrow) -> tuple[list[str], int]:
        """Return the parts of an arrow with its text above, and its height."""
        begin, end = self._at[arrow.source], self._at[arrow.target]
        font = _FONT * _BOLD if arrow.is_decisive else _FONT
        lines = wrap(self._said(arrow), (_WIDTH - 2 * _EDGE) / font, _MOST_LINES)
        y = self._y + _LINE * len(lines) + 12
        step = 1 if end > begin else -1
        answer = " answer" if arrow.is_answer else ""
        return [
            *_lines(lines, _within(lines, (begin + end) / 2, font), self._y + 14, "said"),
            f'<path class="arrow{answer}" d="M{begin} {y}H{end - 6 * step}"/>',
            f'<path class="tip" d="M{end} {y}l{-8 * step} -4v8z"/>',
            _number(arrow, begin, y),
        ], _LINE * len(lines) + 22

    def _note(self, arrow: Arrow) -> tuple[list[str], int]:
        """Return the parts of a note on a lane, and its height."""
        lines = wrap(self._said(arrow), (_WIDTH - 10 * _EDGE) / _FONT, _MOST_LINES)
        bold = _BOLD if arrow.is_decisive else 1
        width = round(max(map(width_of, lines)) * _FONT * bold) + 4 * _EDGE
        x = _within(lines, self._at[arrow.source], _FONT, 3 * _EDGE)
        height, top = _LINE * len(lines) + 8, self._y + 4
        return [
            f'<rect class="note" x="{x - width / 2:g}" y="{top}" width="{width}" height="{height}" rx="4"/>',
            *_lines(lines, x + 4, top + 16, "noted"),
            _number(arrow, round(x - width / 2), top + height // 2),
        ], height + 8

    def _said(self, arrow: Arrow) -> str:
        is_timed = self._times and arrow.seconds is not None
        return f"{arrow.text} ({_milliseconds(arrow.seconds or 0)})" if is_timed else arrow.text


def _within(lines: Sequence[str], x: float, font: float, edge: float = _EDGE) -> float:
    """Move the middle of some lines as far as it takes to keep them within the image."""
    half = max(map(width_of, lines)) * font / 2
    return round(min(max(x, half + edge), max(_WIDTH - half - edge, _WIDTH / 2)))


def _number(arrow: Arrow, x: int, y: int) -> str:
    """Return the number of a step as a link to its sentence; readers of the screen have the sentences themselves."""
    if arrow.number is None:
        return ""
    width = 2 * _RADIUS + 6 * max(0, len(str(arrow.number)) - 2)
    x = min(max(x, width // 2 + 1), _WIDTH - width // 2 - 1)
    return (
        f'<a href="#step-{arrow.number}" tabindex="-1"><rect class="number" x="{x - width / 2:g}" y="{y - _RADIUS}" '
        f'width="{width}" height="{2 * _RADIUS}" rx="{_RADIUS}"/>'
        f'<text class="digits" x="{x}" y="{y + 3.5}">{arrow.number}</text></a>'
    )


def _lines(lines: Sequence[str], x: float, y: float, kind: str, height: int = _LINE) -> list[str]:
    return [
        f'<text class="{kind}" x="{x:g}" y="{y + height * index:g}">{clean(line)}</text>'
        for index, line in enumerate(lines)
    ]
