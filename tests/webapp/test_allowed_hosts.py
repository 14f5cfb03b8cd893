"""Host header attacks: which host names the service answers to."""

import pytest

from client import KEY, Visitor, with_cheap_hashes
from quartlogin.webapp import SettingsError, create_app
from sockets import open_socket

ALLOWED = ["example.org", "Login.Example.org", "192.0.2.1", "[2001:db8::1]"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("example.org", 200),
        ("EXAMPLE.org", 200),
        ("example.org.", 200),
        ("example.org:8443", 200),
        ("login.example.org", 200),
        ("192.0.2.1:80", 200),
        ("[2001:db8::1]", 200),
        ("[2001:db8::1]:5000", 200),
        ("evil.example", 400),
        ("example.org.evil.example", 400),
        ("evil-example.org", 400),
        ("www.example.org", 400),
        ("example.org@evil.example", 400),
        ("localhost", 400),
        ("[::1]", 400),
        ("", 400),
    ],
)
async def test_host_header_only_allowed_hosts_are_served(database: str, host: str, status: int) -> None:
    app = create_app(DATABASE=database, SECRET_KEY=KEY, ALLOWED_HOSTS=ALLOWED)

    answer = await Visitor(app.test_client()).get("/", headers={"Host": host})

    assert answer.status == status
    assert "evil" not in answer.text


async def test_host_header_x_forwarded_host_is_ignored(database: str) -> None:
    app = create_app(DATABASE=database, SECRET_KEY=KEY, ALLOWED_HOSTS=ALLOWED, TRUSTED_PROXIES=1)
    headers = {"Host": "evil.example", "X-Forwarded-Host": "example.org", "Forwarded": "host=example.org"}

    assert (await Visitor(app.test_client()).get("/", headers=headers)).status == 400


async def test_host_header_of_a_websocket_is_checked(database: str) -> None:
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, ALLOWED_HOSTS=["example.org"]))
    async with app.test_app(), open_socket(app, "/account/live") as socket:
        assert await socket.code() == 1008


@pytest.mark.parametrize("host", ["", "*", "example.org:80", "https://example.org", "exa mple.org", "[::1", ".."])
def test_an_invalid_allowed_host_stops_the_start(database: str, host: str) -> None:
    with pytest.raises(SettingsError, match=r"\AALLOWED_HOSTS\b"):
        create_app(DATABASE=database, SECRET_KEY=KEY, ALLOWED_HOSTS=[host])
