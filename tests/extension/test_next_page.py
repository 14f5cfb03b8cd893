"""Open redirects through `next`: its length, the trusted hosts, and the page that a guard offers.

A parser of the WHATWG URL standard decides where a target leads, as browsers do.
"""

import logging
import random
import re
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import ada_url
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quart import Quart, redirect, request, session
from quart.testing import QuartClient
from users import ADA, User

from amounts import examples
from payloads import FOREIGN_HOSTS, NEXTS
from quartlogin import (
    ConfigurationError,
    LoginManager,
    SignedSessionInterface,
    fresh_login_required,
    login_required,
    login_user,
    safe_next,
)
from quartlogin.config import NEXT_MAX_LENGTH
from slow import mostly_slow

GET = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture
def site(app: Quart, login_manager: LoginManager[User]) -> Quart:
    """A login page that leads back, a page with a form, and where the form is sent to."""
    login_manager.login_view, login_manager.refresh_view = "login", "login"

    @app.route("/login", methods=["GET", "POST"])
    async def login() -> Any:
        if request.method == "GET":
            return {"next": session.get("next")}
        await login_user(ADA)
        return redirect(safe_next(request.args.get("next") or session.pop("next", None)) or "/")

    @app.get("/form")
    async def form() -> str:
        return "form"

    @app.route("/send", methods=["POST", "PUT", "PATCH", "DELETE"])
    @login_required
    async def send() -> str:
        return "sent"

    @app.route("/both", methods=["GET", "POST"])
    @login_required
    async def both() -> str:
        return "both"

    @app.post("/fresh")
    @fresh_login_required
    async def fresh() -> str:
        return "fresh"

    @app.get("/page")
    @login_required
    async def page() -> str:
        return "page"

    @app.websocket("/live")
    async def live() -> None:
        pass

    return app


async def offered(client: QuartClient, path: str, method: str = "GET", **headers: str) -> str | None:
    """The `next` that a visitor is sent to the login page with."""
    response = await client.open(path, method=method, headers=headers)
    assert response.status_code == 302, await response.get_data()
    found = ada_url.URL(response.headers["Location"], base="http://localhost/").search
    return next(iter(ada_url.parse_search_params(found).get("next", [])), None)


def with_config(**config: Any) -> Quart:
    app = Quart("another")
    app.config.update(config)
    return app


# --- how long it may be -----------------------------------------------------------------------------------------


def page_of(length: int) -> str:
    return "/page?state=" + "s" * (length - len("/page?state="))


async def test_an_ordinary_request_of_openid_connect_comes_back(site: Quart) -> None:
    asked = "/page?response_type=code&redirect_uri=https%3A%2F%2Fclient.example%2Fback&state=" + "s" * 1200
    client = site.test_client()

    response = await client.get(asked)
    landed = await client.post(response.headers["Location"])

    assert landed.headers["Location"] == asked


@pytest.mark.parametrize("longest", [None, 3000, 40], ids=["by default", "longer", "shorter"])
async def test_the_guard_and_safe_next_have_one_limit(site: Quart, longest: int | None) -> None:
    if longest is not None:
        site.config["NEXT_MAX_LENGTH"] = longest
    longest = longest or NEXT_MAX_LENGTH
    client = site.test_client()

    assert await offered(client, page_of(longest)) == page_of(longest)
    assert await offered(client, page_of(longest + 1)) is None
    async with site.app_context():
        assert safe_next(page_of(longest)) == page_of(longest)
        assert safe_next(page_of(longest + 1)) is None
        assert safe_next("/é" * (longest // 7)) == "/é" * (longest // 7)
        assert safe_next("/é" * (longest // 7 + 1)) is None


def test_the_limit_holds_outside_of_an_app() -> None:
    assert NEXT_MAX_LENGTH == 2048
    assert safe_next(page_of(2048))
    assert not safe_next(page_of(2049))


@pytest.mark.parametrize("in_session", [False, True], ids=["in the query", "in the session"])
async def test_a_page_that_is_dropped_leaves_a_line_in_the_debug_log_without_its_text(
    site: Quart, caplog: pytest.LogCaptureFixture, in_session: bool
) -> None:
    site.config["USE_SESSION_FOR_NEXT"] = in_session
    caplog.set_level(logging.DEBUG, "quartlogin")

    assert await offered(site.test_client(), page_of(2049)) is None
    async with site.app_context():
        safe_next(page_of(2049))

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("quartlogin")]
    assert [re.findall(r"\d+|NEXT_MAX_LENGTH", line) for line in lines] == [["2049", "NEXT_MAX_LENGTH", "2048"]] * 2
    assert not any(page_of(2049) in line for line in lines)


@pytest.mark.parametrize("unit", ["/", "&a", "=", "%C3%A9", "%25", "ab", "+", "é"])
async def test_a_page_in_a_redirect_never_grows_beyond_what_proxies_take(site: Quart, unit: str) -> None:
    """Percent-encoding a path of slashes makes it three times as long: nginx answers 502 to a head of 4096."""
    response = await site.test_client().get("/page?" + (quote(unit, safe="/&=%+") * 2048)[:2040])

    assert response.status_code == 302
    assert len(response.headers["Location"]) <= 3072 + len("/login?next=")


@pytest.mark.parametrize("value", ["2048", 0, -1, True, None, 1.5], ids=repr)
async def test_a_limit_that_is_none_is_refused(site: Quart, value: Any) -> None:
    site.config["NEXT_MAX_LENGTH"] = value

    async with site.app_context():
        with pytest.raises(ConfigurationError, match="NEXT_MAX_LENGTH"):
            safe_next("/")
    with pytest.raises(ConfigurationError, match="NEXT_MAX_LENGTH"):
        LoginManager[User](with_config(NEXT_MAX_LENGTH=value))


# --- the session cookie has 4096 characters ---------------------------------------------------------------------


def random_query(length: int) -> str:
    """Text that cannot be compressed much."""
    letters = random.Random(length).choices(string.ascii_letters + string.digits + "-._~", k=length)
    return "/page?" + "".join(letters)[: length - len("/page?")]


@pytest.mark.parametrize("interface", [None, SignedSessionInterface()], ids=["Quart's", "ours"])
async def test_the_longest_page_fits_into_the_session_cookie_beside_a_login(site: Quart, interface: Any) -> None:
    site.config["USE_SESSION_FOR_NEXT"] = True
    site.session_interface = interface or site.session_interface
    client, asked = site.test_client(), random_query(2048)

    await client.get(asked)
    kept = (await (await client.get("/login")).get_json())["next"]
    signed_in = await client.post("/login?next=/form")
    cookies = [cookie.value or "" for cookie in client.cookie_jar or []]

    assert kept == asked
    assert signed_in.headers["Location"] == "/form"
    assert max(map(len, cookies)) < 3500


@pytest.mark.parametrize("full", range(0, 3000, 300))
async def test_a_page_never_takes_the_room_that_a_login_needs_in_the_session_cookie(site: Quart, full: int) -> None:
    """A browser drops a cookie that is too long, so the sign-in would be lost."""
    site.config["USE_SESSION_FOR_NEXT"] = True
    client = site.test_client()
    async with client.session_transaction() as contents:
        contents["cart"] = random_query(full + 10)
    before = cookie_of(client)

    await client.get(random_query(2000))
    when_sent_to_sign_in = cookie_of(client)
    await client.post("/login?next=/form")

    assert len(when_sent_to_sign_in) <= max(4096 - 900, len(before) + 200)
    assert len(cookie_of(client)) <= 4096
    assert (await client.get("/page")).status_code == 200


def cookie_of(client: QuartClient) -> str:
    (cookie,) = client.cookie_jar or []
    return str(cookie.value)


# --- what was not asked for by GET ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/send", "/both", "/fresh"])
async def test_the_page_of_a_post_is_not_one_to_come_back_to(site: Quart, path: str) -> None:
    assert await offered(site.test_client(), path, "POST") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_form_comes_back_to_its_own_page(site: Quart, method: str) -> None:
    referer = {"Referer": "http://localhost/form?item=2#part"}

    assert await offered(site.test_client(), "/send", method, **referer) == "/form?item=2"


async def test_who_signs_in_after_sending_a_form_lands_on_a_page_that_can_be_opened(site: Quart) -> None:
    client = site.test_client()
    sent = await client.post("/send", headers={"Referer": "http://localhost/form"})

    landed = await client.post(sent.headers["Location"])

    assert (await client.get(landed.headers["Location"])).status_code == 200


@pytest.mark.parametrize(
    "referer",
    [
        "http://elsewhere.example/form",
        "http://localhost.elsewhere.example/form",
        "http://localhost:81/form",
        "http://localhost@elsewhere.example/form",
        "http://user@localhost/form",
        "//elsewhere.example",
        "http://localhost//elsewhere.example/form",
        "http://localhost/\\elsewhere.example",
        "http://localhost/send",
        "http://localhost/live",
        "http://localhost/form" + "x" * 2048,
        "/form",
        "form",
        "",
        "http://[",
        "about:blank",
        "javascript:alert(1)",
    ],
)
async def test_what_is_no_page_of_this_host_that_can_be_opened_is_not_come_back_to(site: Quart, referer: str) -> None:
    found = await offered(site.test_client(), "/send", "POST", Referer=referer)

    assert safe_next(found) is None


async def test_a_form_below_a_mount_comes_back_to_its_own_page(site: Quart) -> None:
    form, button = [
        await site.test_client().post("/mount/send", headers={"Referer": referer}, root_path="/mount")
        for referer in ("http://localhost/mount/form", "http://localhost/mount/send")
    ]

    assert form.headers["Location"] == "/mount/login?next=%2Fmount%2Fform"
    assert button.headers["Location"] == "/mount/login"


async def test_a_form_whose_login_page_is_on_another_host_comes_back_with_its_host(
    site: Quart, login_manager: LoginManager[User]
) -> None:
    login_manager.login_view = "https://accounts.example/login"
    referer = {"Referer": "http://localhost/form"}

    assert await offered(site.test_client(), "/send", "POST", **referer) == "http://localhost/form"


async def test_head_is_a_page_as_get_is(site: Quart) -> None:
    assert await offered(site.test_client(), "/page", "HEAD") == "/page"


# --- USE_SESSION_FOR_NEXT ---------------------------------------------------------------------------------------


@pytest.fixture
def keeping(site: Quart) -> QuartClient:
    """A browser that was sent to the login page from `/page?tab=2`."""
    site.config["USE_SESSION_FOR_NEXT"] = True
    return site.test_client()


async def kept(client: QuartClient) -> str | None:
    async with client.session_transaction() as contents:
        return contents.get("next")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Mode": "cors"},
        {**GET, "Sec-Purpose": "prefetch"},
        {**GET, "Sec-Purpose": "prefetch;prerender"},
        {**GET, "Purpose": "prefetch"},
    ],
    ids=str,
)
async def test_what_a_page_fetches_does_not_take_the_place_of_where_a_person_went(
    keeping: QuartClient, headers: dict[str, str]
) -> None:
    await keeping.get("/page?tab=2", headers=GET)

    await keeping.get("/both", headers=headers)

    assert await kept(keeping) == "/page?tab=2"


@pytest.mark.parametrize("headers", [GET, {}, {"Sec-Fetch-Dest": "document"}, {"Sec-Fetch-Mode": "navigate"}], ids=str)
async def test_where_a_person_went_last_is_kept(keeping: QuartClient, headers: dict[str, str]) -> None:
    await keeping.get("/page?tab=2", headers=headers)
    await keeping.get("/both", headers=headers)

    assert await kept(keeping) == "/both"


@pytest.mark.parametrize(
    ("referer", "page"), [("http://localhost/form", "/form"), ("http://elsewhere.example/", None)], ids=str
)
async def test_a_form_that_was_sent_keeps_its_own_page_or_none(
    keeping: QuartClient, referer: str, page: str | None
) -> None:
    await keeping.get("/page?tab=2", headers=GET)
    await keeping.post("/send", headers={**GET, "Referer": referer})

    assert await kept(keeping) == page


async def test_a_page_that_is_too_long_leaves_no_older_one_behind(keeping: QuartClient) -> None:
    await keeping.get("/page?tab=2", headers=GET)
    await keeping.get(page_of(2049), headers=GET)

    assert await kept(keeping) is None


# --- other hosts ------------------------------------------------------------------------------------------------

Trusting = Callable[..., Any]
SCHEMES = ["http", "https"]


@pytest.fixture
def trusting(site: Quart) -> Trusting:
    """What `safe_next` makes of a target, with these settings, asked over https or http."""

    async def trusting(target: str, scheme: str = "https", host: str = "accounts.site.example", **config: Any) -> Any:
        site.config.update(config)
        async with site.test_request_context("/", scheme=scheme, headers={"Host": host}):
            return safe_next(target)

    return trusting


OF_DOMAIN = {"SESSION_COOKIE_DOMAIN": ".site.example"}


@pytest.mark.parametrize(
    "target",
    [
        "https://site.example/",
        "https://site.example",
        "https://shop.site.example/cart?item=2#part",
        "https://a.b.c.site.example/",
        "https://SHOP.Site.Example/",
        "HTTPS://shop.site.example/",
        "https://shop.site.example:8443/x",
        "https://shop.site.example?x=https://elsewhere.example/",
        "https://shop.site.example//elsewhere.example/",
        "https://shop.site.example/@elsewhere.example",
    ],
)
@pytest.mark.parametrize("domain", ["site.example", ".site.example"])
async def test_a_host_that_receives_the_session_cookie_is_trusted(trusting: Trusting, target: str, domain: str) -> None:
    assert await trusting(target, SESSION_COOKIE_DOMAIN=domain) == target


@pytest.mark.parametrize(
    "target", mostly_slow([*FOREIGN_HOSTS, *NEXTS], quick=12), ids=lambda target: ascii(target)[:40]
)
async def test_open_redirect_tricks_with_subdomains_are_rejected(trusting: Trusting, target: str) -> None:
    assert await trusting(target, **OF_DOMAIN) is None


def test_open_redirect_tricks_are_many_and_lead_elsewhere() -> None:
    elsewhere = [target for target in FOREIGN_HOSTS if not is_of_site(target)]

    assert len(FOREIGN_HOSTS) >= 75
    assert len(elsewhere) >= 30


def is_of_site(target: str) -> bool:
    """Tell as a browser does whether this leads to a host of the site, over https."""
    try:
        url = ada_url.URL(target.encode("utf-8", "replace").decode(), base="https://accounts.site.example/login")
    except ValueError:
        return True  # it leads nowhere
    return url.protocol == "https:" and f".{url.hostname}".endswith(".site.example")


HOST_PIECES = [
    *("https://", "http://", "HTTPS:", "//", "/", "\\", ":", "@", "?", "#", ".", "..", "[", "]", "%2e", "%2f", "%40"),
    *("site.example", "shop", ".site.example", "elsewhere.example", "443", ":80", "\t", "\n", " ", "。", "．", "／"),
    *("ſ", "\u200b", "\u00ad", "xn--", "-", "_", "1", "0x7f", "é", "İ", "K"),
]


@pytest.mark.slow
@given(st.lists(st.sampled_from(HOST_PIECES), max_size=9).map("".join))
@settings(max_examples=examples(2000))
async def test_open_redirect_whatever_is_trusted_leads_to_a_host_of_the_site_in_a_browser(target: str) -> None:
    app = Quart("site")
    app.config.update(OF_DOMAIN)

    async with app.test_request_context("/", scheme="https", headers={"Host": "accounts.site.example"}):
        for one in (target, f"https://{target}", f"https://shop.site.example{target}"):
            assert safe_next(one) is None or is_of_site(one)


@pytest.mark.parametrize("host", ["shop.site.example", "site.example", "elsewhere.example"])
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_host_header_of_the_request_is_not_trusted_for_redirects(
    trusting: Trusting, host: str, scheme: str
) -> None:
    assert await trusting(f"{scheme}://{host}/", scheme=scheme, host=host) is None


@pytest.mark.parametrize(
    ("target", "scheme", "config", "is_safe"),
    [
        ("http://shop.site.example/", "http", {}, True),
        ("http://shop.site.example/", "https", {}, False),
        ("http://shop.site.example/", "http", {"SESSION_COOKIE_SECURE": True}, False),
        ("https://shop.site.example/", "http", {}, True),
    ],
)
async def test_open_redirect_from_https_to_http_is_rejected(
    trusting: Trusting, target: str, scheme: str, config: dict[str, Any], is_safe: bool
) -> None:
    assert (await trusting(target, scheme, **OF_DOMAIN, **config) is not None) is is_safe


async def test_outside_of_a_request_only_https_counts(site: Quart) -> None:
    site.config.update(OF_DOMAIN)

    async with site.app_context():
        found = [safe_next(f"{scheme}://shop.site.example/") for scheme in SCHEMES]

    assert found == [None, "https://shop.site.example/"]


@pytest.mark.parametrize(
    ("target", "is_safe"),
    [
        ("https://site.example/x", True),
        ("https://shop.site.example/x", False),
        ("https://example/x", False),
    ],
)
async def test_the_apps_own_name_is_trusted_and_what_is_below_it_is_not(
    trusting: Trusting, target: str, is_safe: bool
) -> None:
    assert (await trusting(target, SERVER_NAME="site.example") is not None) is is_safe


async def test_the_port_of_the_apps_own_name_counts(trusting: Trusting) -> None:
    targets = ["http://site.example:5000/", "http://site.example:5001/", "http://site.example/"]

    config = {"SERVER_NAME": "site.example:5000"}
    found = [await trusting(target, "http", "site.example:5000", **config) for target in targets]

    assert found == ["http://site.example:5000/", None, None]


async def test_below_the_apps_own_name_is_trusted_where_it_serves_subdomains() -> None:
    app = Quart("site", subdomain_matching=True)
    app.config["SERVER_NAME"] = "site.example"
    LoginManager[User](app)

    async with app.app_context():
        assert safe_next("https://shop.site.example/x")
        assert not safe_next("https://shopsite.example/x")


@pytest.mark.parametrize(
    ("target", "is_safe"),
    [
        ("https://app.example/", True),
        ("https://a.shops.example/", True),
        ("https://api.example:8443/", True),
        ("https://api.example/", False),
        ("https://x.app.example/", False),
        ("https://shop.site.example/", False),
    ],
)
async def test_an_app_may_name_the_hosts_it_trusts(trusting: Trusting, target: str, is_safe: bool) -> None:
    hosts = ["app.example", ".shops.example", "api.example:8443"]

    assert (await trusting(target, **OF_DOMAIN, NEXT_TRUSTED_HOSTS=hosts) is not None) is is_safe


async def test_an_app_may_trust_none(trusting: Trusting) -> None:
    assert await trusting("https://shop.site.example/", **OF_DOMAIN, NEXT_TRUSTED_HOSTS=[]) is None


@pytest.mark.parametrize("value", ["app.example", ["https://app.example"], [None], [b"app.example"]], ids=repr)
async def test_trusted_hosts_that_are_none_are_refused(trusting: Trusting, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="NEXT_TRUSTED_HOSTS"):
        await trusting("https://app.example/", NEXT_TRUSTED_HOSTS=value)
    with pytest.raises(ConfigurationError, match="NEXT_TRUSTED_HOSTS"):
        LoginManager[User](with_config(NEXT_TRUSTED_HOSTS=value))


async def test_a_login_page_on_another_subdomain_leads_back(site: Quart, login_manager: LoginManager[User]) -> None:
    """The shop sends its visitors to the accounts' host, which sends them back: the same cookies count on both."""
    site.config.update(OF_DOMAIN)
    login_manager.login_view = "https://accounts.site.example/login"
    client = site.test_client()

    sent = await client.get("/page?tab=2", scheme="https", headers={"Host": "shop.site.example"})
    location = ada_url.URL(sent.headers["Location"])
    back = await client.post(
        f"{location.pathname}{location.search}", scheme="https", headers={"Host": location.hostname}
    )

    assert location.origin == "https://accounts.site.example"
    assert back.headers["Location"] == "https://shop.site.example/page?tab=2"
