"""Spoofed forwarding headers: which headers of a proxy count."""

from typing import Any

import pytest

from quartlogin.webapp.middleware import ProxyHeadersMiddleware, RequestValidationMiddleware


async def seen_behind(count: int, headers: list[tuple[str, str]], kind: str = "http") -> dict[str, Any]:
    """What the application sees of a request that came over plain http from 10.0.0.9."""
    seen: dict[str, Any] = {}

    async def app(scope: dict[str, Any], receive: object, send: object) -> None:
        seen.update(scope)

    scope = {
        "type": kind,
        "scheme": "http" if kind == "http" else "ws",
        "client": ("10.0.0.9", 4711),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    await ProxyHeadersMiddleware(app, count)(scope, None, None)
    return seen


@pytest.mark.requirement("V14")
@pytest.mark.requirement("4.1.3", "15.3.4")
async def test_spoofed_forwarded_headers_are_ignored_without_trusted_proxies() -> None:
    seen = await seen_behind(0, [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")])

    assert (seen["client"][0], seen["scheme"]) == ("10.0.0.9", "http")


@pytest.mark.requirement("V14")
@pytest.mark.requirement("4.1.3", "15.3.4")
@pytest.mark.parametrize(
    ("count", "value", "address"),
    [
        (1, "1.2.3.4", "1.2.3.4"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 10.0.0.1", "1.2.3.4"),
        (2, "1.2.3.4", "10.0.0.9"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "nonsense", "10.0.0.9"),
        (1, "", "10.0.0.9"),
        (1, "1.2.3.4<script>", "10.0.0.9"),
    ],
)
async def test_spoofed_addresses_only_entries_of_trusted_proxies_count(count: int, value: str, address: str) -> None:
    seen = await seen_behind(count, [("x-forwarded-for", value)])

    assert seen["client"][0] == address


async def test_several_headers_count_as_one_list() -> None:
    seen = await seen_behind(1, [("x-forwarded-for", "6.6.6.6"), ("X-Forwarded-For", "1.2.3.4")])

    assert seen["client"][0] == "1.2.3.4"


@pytest.mark.parametrize(
    ("kind", "value", "scheme"),
    [
        ("http", "https", "https"),
        ("http", "http", "http"),
        ("http", "javascript", "http"),
        ("websocket", "https", "wss"),
        ("websocket", "http", "ws"),
    ],
)
async def test_the_forwarded_scheme_counts_if_it_is_valid(kind: str, value: str, scheme: str) -> None:
    seen = await seen_behind(1, [("x-forwarded-proto", value)], kind)

    assert seen["scheme"] == scheme


async def test_host_header_is_never_taken_from_a_proxy() -> None:
    seen = await seen_behind(1, [("host", "example.com"), ("x-forwarded-host", "evil.example")])

    assert (b"host", b"example.com") in seen["headers"]


@pytest.mark.parametrize(("hosts", "version"), [([], "1.1"), (["a", "b"], "1.1"), ([".."], "2")])
async def test_host_header_malformed_closes_a_websocket(hosts: list[str], version: str) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "http_version": version,
        "path": "/",
        "headers": [(b"host", host.encode()) for host in hosts],
    }
    await RequestValidationMiddleware(None)(scope, None, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_host_header_may_be_missing_in_http_1_0() -> None:
    served: list[str] = []

    async def app(scope: dict[str, Any], receive: object, send: object) -> None:
        served.append(scope["http_version"])

    await RequestValidationMiddleware(app)(
        {"type": "http", "http_version": "1.0", "path": "/", "headers": []}, None, None
    )

    assert served == ["1.0"]
