"""The story of a request: one sentence for each step, without secrets, the same for the same steps."""

import re
from collections.abc import Mapping

import pytest
from explained import add_pages
from quart import Quart

from quartlogin import current_user, fresh_login_required, logout_user, tracing
from quartlogin.explaining import Recorder, Recording, tell_story
from quartlogin.explaining.story import SENTENCES
from quartlogin.tracing import STEPS, Step

ANY = dict.fromkeys((key for meaning in STEPS.values() for key in re.findall(r"`(\w+)`", meaning)), "word")
ONE_SENTENCE = re.compile(r"[A-Z_a-z][^{}]*[^.{}]\.", re.DOTALL)


def steps_of_every_outcome() -> list[Step]:
    pairs = [
        (name, outcome)
        for name, found in SENTENCES.items()
        for outcome in (found if isinstance(found, Mapping) else [""])
    ]
    return [Step(name, {**ANY, "outcome": outcome}, 0.5, 0, None, None) for name, outcome in pairs]


def story(*steps: Step, times: bool = True) -> list[str]:
    return tell_story([Recording(1, 0, list(steps))], times=times)


@pytest.fixture
def site(app: Quart) -> Quart:
    add_pages(app)

    @app.get("/fresh")
    @fresh_login_required
    async def fresh() -> str:
        return ""

    @app.get("/early")
    async def early() -> str:
        return str(current_user.name)

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return "out"

    return app


def test_every_step_has_a_sentence() -> None:
    assert {*STEPS} <= {*SENTENCES}


def test_each_outcome_is_one_sentence() -> None:
    told = [*story(*steps_of_every_outcome()), *story(*[Step(name, {}, None, 0, None, None) for name in STEPS])]

    assert [sentence for sentence in told if not ONE_SENTENCE.fullmatch(sentence)] == []


def test_a_step_or_an_outcome_that_is_not_known_has_a_sentence_with_its_name() -> None:
    new = Step("new_step", {}, None, 0, None, None)
    odd = Step("guard", {"outcome": "odd {outcome}"}, None, 0, None, None)

    first, second = story(new, odd)

    assert "new step" in first
    assert "odd {outcome}" in second


def test_only_a_statement_that_returns_rows_tells_how_many() -> None:
    told = [
        story(Step("statement", {"sql": sql, "rows": rows}, None, 0, None, None))[0]
        for sql, rows in (("SELECT 1", 0), ("DELETE FROM a", None), ("DELETE FROM a RETURNING b", 0))
    ]

    assert ["0 rows" in sentence for sentence in told] == [True, False, True]


def test_a_login_that_is_not_active_is_told_with_the_reason_if_it_is_known() -> None:
    ended = {"outcome": "ended or unknown", "login": "abcd1234"}

    unknown, known = story(
        *[Step("login_row", {**ended, "reason": reason}, None, 0, None, None) for reason in (None, "password changed")]
    )

    assert "no record" in unknown
    assert "password changed" in known
    assert "no record" not in known


def test_how_long_a_cookie_is_kept_is_told_in_words() -> None:
    kept = {"cookie": "remember", "outcome": "set", "max_age": "31536000"}

    assert "365 days" in story(Step("cookie_written", kept, None, 0, None, None))[0]


async def test_what_happens_in_requests_has_sentences_of_its_own(site: Quart) -> None:
    recorder, browser = Recorder(site), site.test_client()
    with tracing.listening(recorder):
        await browser.get("/guarded")
        await browser.post("/login")
        await browser.get("/")
        await browser.get("/early")
        browser.set_cookie("localhost", "session", "changed")
        await browser.get("/fresh")
        await browser.post("/logout")
        await browser.get("/guarded", headers={"Authorization": "Bearer no-token", "Cookie": "session=a.b.c"})

    told = tell_story(list(recorder.recordings))

    names = {step.name for recording in recorder.recordings for step in recording.steps}
    assert names > {"request", "session_cookie", "restored", "early_read", "guard", "login", "logout", "bearer"}
    assert [sentence for sentence in told if "had the outcome" in sentence or "unknown" in sentence] == []


def test_without_times_the_same_steps_make_the_same_story() -> None:
    first = [
        Step(s.name, {**s.details, "user_id": "f" * 22, "login": "1"}, 0.1, 0, None, None)
        for s in steps_of_every_outcome()
    ]
    second = [
        Step(s.name, {**s.details, "user_id": "g" * 22, "login": "2"}, 0.2, 5, None, None)
        for s in steps_of_every_outcome()
    ]

    assert story(*first, times=False) == story(*second, times=False)
    assert story(*first) != story(*second)
