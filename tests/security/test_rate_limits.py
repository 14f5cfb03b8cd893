"""Rate limits by network address, spoofed addresses, and the cost of a form (ASVS V9, V14, V15)."""

import tracemalloc

import pytest
from quart import Quart

from client import PASSWORD, Visitor, add_user
from quartlogin.accounts import get_accounts
from quartlogin.accounts.security.rate_limits import TooManyAttempts

pytestmark = pytest.mark.alone

MEGABYTE = 1024 * 1024


def parts(count: int) -> bytes:
    one = b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n'
    return b"".join(one % number for number in range(count)) + b"--b--\r\n"


@pytest.mark.requirement("V9")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"username=" + b"x" * 1_000_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"f%d=1" % number for number in range(200_000)), "application/x-www-form-urlencoded"),
        (parts(5_000), "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"\r" * 1_000_000, "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"\r\n--" * 250_000, "multipart/form-data; boundary=b"),
        (b"[" * 1_000_000, "application/json"),
        (b"x" * 40_000_000, "application/x-www-form-urlencoded"),
    ],
    ids=["long field", "many fields", "many parts", "carriage returns", "half boundaries", "deep JSON", "40 megabytes"],
)
@pytest.mark.parametrize("path", ["/login", "/register"])
async def test_denial_of_service_costly_forms_use_little_memory(
    visitor: Visitor, path: str, body: bytes, content_type: str
) -> None:
    await visitor.get("/login")
    held = len(body)  # by this test, and once more by its client
    tracemalloc.start()

    page = await visitor.request("POST", path, data=body, headers={"Content-Type": content_type})

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert page.status in {413, 415}
    assert peak - held < 10 * MEGABYTE


@pytest.mark.requirement("V15")
async def test_rate_limit_two_thousand_addresses_of_one_network_share_a_counter(app: Quart) -> None:
    refusals = [await is_refused(app, f"2001:db8::{number % 7:x}:{number:x}", number) for number in range(2_000)]

    assert refusals == [False] * 50 + [True] * 1_950


async def is_refused(app: Quart, address: str, number: int) -> bool:
    """Whether one more attempt from this address, at a name of its own, comes too early."""
    try:
        await get_accounts(app).rate_limits.count_sign_in(None, str(number), None, address)
    except TooManyAttempts:
        return True
    return False


@pytest.mark.requirement("V14")
@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-Ip", "Forwarded", "Client-Ip", "True-Client-Ip"])
async def test_spoofed_addresses_do_not_appear_in_the_list_of_logins(app: Quart, visitor: Visitor, header: str) -> None:
    await add_user(app, "Alice")
    token = (await visitor.get("/login")).token
    fields = {"csrf_token": token, "username": "Alice", "password": PASSWORD}

    await visitor.post("/login", fields, headers={header: "203.0.113.66", "Via": "203.0.113.66"})

    assert "203.0.113.66" not in (await visitor.get("/account")).text
