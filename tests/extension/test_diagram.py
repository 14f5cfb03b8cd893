"""Sequence diagrams: SVG from recorded steps, safe with any text, the same for the same steps, readable."""

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from explained import add_pages
from playwright.sync_api import Browser
from quart import Quart

from quartlogin import tracing
from quartlogin.explaining.arrows import DRAWN
from quartlogin.explaining.diagram import STYLE, draw
from quartlogin.explaining.recorder import Recorder, Recording
from quartlogin.tracing import STEPS, Step

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script><a onload='x' href=\"javascript:x\">&\x00\x1b\ud800\u202e\uffff" + "W" * 300
USER_ID = "a random id of 22 char"


@pytest.fixture
def site(app: Quart) -> Quart:
    add_pages(app)
    return app


async def record(site: Quart) -> list[Recording]:
    recorder = Recorder(site)
    with tracing.listening(recorder):
        browser = site.test_client()
        await browser.post("/login")
        await browser.get("/")
        await site.test_client().get("/guarded")
    return list(recorder.recordings)


def recording(*steps: tuple[str, dict[str, Any]], at: float = 0) -> Recording:
    moments = count(at)
    return Recording(1, at, [Step(name, details, at, next(moments), None, None) for name, details in steps])


def every_step(text: str = "text", user_id: str = USER_ID, login: str = "abcd1234") -> Recording:
    """Return a recording with each step once; each of its details has this text."""
    keys = {key for meaning in STEPS.values() for key in re.findall(r"`(\w+)`", meaning)}
    details = {**dict.fromkeys(keys, text), "cookies": (text, text), "user_id": user_id, "login": login}
    return recording(*[(name, details) for name in STEPS])


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def classes(svg: str) -> Iterator[tuple[str, ElementTree.Element]]:
    return ((element.get("class") or "", element) for element in ElementTree.fromstring(svg).iter())


async def test_a_sign_in_is_drawn_with_its_participants_and_steps(site: Quart) -> None:
    signing_in, after_it, refused = await record(site)

    drawn = " ".join(texts(draw([signing_in, after_it])))

    words = ["POST /login", "login_user(", "sets cookie session", "GET /", "names current_user", "user_loader(", "200"]
    assert re.search(".*".join(map(re.escape, words)), drawn)
    assert "User loader" in drawn
    assert "Database" not in drawn
    assert "User loader" not in " ".join(texts(draw([refused])))


def test_every_step_has_its_arrow() -> None:
    assert {*STEPS} <= {*DRAWN}


def test_the_loader_is_called_before_what_it_asks() -> None:
    loader = {"loader": "users_loader", "user_id": "7", "outcome": "user", "type": "User"}
    asked = recording(("user", {}), ("lookup", {"size": 2}), ("statement", {"sql": "SELECT 1"}), ("loader", loader))

    drawn = texts(draw([asked], times=False))

    assert drawn.index("users_loader(7)") < drawn.index("one lookup for 2 requests") < drawn.index("SELECT 1")


def test_the_reason_why_a_login_is_not_active_is_drawn() -> None:
    row = {"outcome": "ended or unknown", "login": "abcd1234", "reason": "password changed"}

    assert "password changed" in " ".join(texts(draw([recording(("login_row", row))])))


def test_xss_no_text_can_leave_its_place() -> None:
    svg = draw([every_step(HOSTILE, HOSTILE, HOSTILE)])

    root = ElementTree.fromstring(svg.encode())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        *("svg", "title", "desc", "style", "rect", "path", "text", "g", "a")
    }
    names = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in names if name.startswith("on") or "style" in name}
    assert {link.get("href", "")[:6] for link in root.iter(f"{SVG}a")} == {"#step-"}
    assert "\u202e" not in svg


def test_nothing_is_loaded_from_elsewhere() -> None:
    svg = draw([every_step()])

    assert re.findall(r"url\(|@import|https?:", svg) == ["http:"]  # the name of the namespace
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')


def test_without_times_the_same_steps_give_the_same_diagram() -> None:
    now = every_step(user_id="f" * 22, login="11111111")
    later = every_step(user_id="g" * 22, login="22222222")
    for index, step in enumerate(later.steps):
        later.steps[index] = Step(step.name, step.details, 5.5, step.at * 2 + 3, None, None)

    assert draw([now], times=False) == draw([later], times=False)
    assert draw([now]) != draw([later])


def test_the_step_that_decided_is_the_only_highlighted_one() -> None:
    first, second = every_step("first"), every_step("second")

    svg = draw([first, second], decisive=len(first.steps))

    decisive = [element for kind, element in classes(svg) if "decisive" in kind.split()]
    assert [link.get("href") for group in decisive for link in group.iter(f"{SVG}a")] == [
        f"#step-{len(first.steps) + 1}"
    ]
    assert texts(svg).count("This step decided.") == 1
    assert "This step decided." not in texts(draw([first, second]))


def test_repeats_are_folded_and_the_decisive_step_stays() -> None:
    ask = [("session", {"user_id": None}), ("user", {"outcome": "anonymous"})]
    repeated = recording(*ask * 250)
    all_different = recording(*[("template", {"template": f"{number}.html"}) for number in range(500)])

    assert "250 times" in texts(draw([repeated]))
    assert "This step decided." in texts(draw([repeated], decisive=201))
    short = draw([all_different], decisive=300)
    assert len(texts(short)) < 150
    assert "This step decided." in texts(short)
    assert sum(int(found[1]) for text in texts(short) if (found := re.search(r"(\d+) more steps", text))) > 400


@pytest.mark.parametrize("recordings", [[], [recording()], [recording(("user", {}))]])
def test_tiny_recordings_are_drawn(recordings: list[Recording]) -> None:
    assert ElementTree.fromstring(draw(recordings)).get("role") == "img"


def test_the_image_has_a_name_and_a_description_for_screen_readers() -> None:
    root = ElementTree.fromstring(draw([every_step()]))

    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[1].tag == f"{SVG}desc"
    assert len(root[1].text or "") > 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough_for_wcag_aa(scheme: str) -> None:
    light, dark = STYLE.split("@media", 1)
    colours = dict(re.findall(r"--(\w+):#(\w+)", light if scheme == "light" else dark))

    pairs = [(text, under) for text in ("ink", "quiet", "mark", "fault") for under in ("paper", "tint")]
    weak = {pair: contrast(*map(colours.__getitem__, pair)) for pair in [*pairs, ("ink", "band"), ("paper", "mark")]}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    wide = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    parts = [int(wide[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_all_text_is_within_the_image_in_a_browser(browser: Browser, tmp_path: Path, width: int) -> None:
    file = tmp_path / "page.html"
    beside = recording(("session_cookie", {"cookie": "session", "outcome": "bad signature"}))
    drawn = [draw([every_step("Wide WORDS of any kind " * 9)], decisive=3), draw([beside], decisive=0)]
    file.write_text("<!doctype html>" + "".join(drawn), "utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800})

    page.goto(file.as_uri())

    outside = page.evaluate(
        """() => { const box = element => element.getBoundingClientRect();
        const isOutside = ({left, right, bottom}, all) => left < all.left || right > all.right || bottom > all.bottom;
        return [...document.querySelectorAll("text")].filter(t => isOutside(box(t), box(t.ownerSVGElement)))
        .map(t => t.textContent) }"""
    )
    assert outside == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
