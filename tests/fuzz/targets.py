"""What the fuzzer throws bytes at: one function for each parser that faces what a stranger sent.

A target returns nothing. It raises when the parser let an exception through that it may not, or when what the parser
accepted is not what an independent judge here accepts. Nothing in this file needs atheris.
"""

import hashlib
import hmac
import json
import logging
import os
import re
import tempfile
import time
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import cache, partial
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unicodedata import category, normalize

from fuzzed_app import FORM_TYPE, KEY, fuzzed_app, run_briefly
from itsdangerous import TimestampSigner
from quart import Quart, redirect

from quartlogin import LoginManager, SignedSessionInterface, decode_cookie, encode_cookie, safe_next
from quartlogin.accounts.features.logins.remember_rotation import RememberTokens
from quartlogin.accounts.features.registration.csv_import import (
    BadLine,
    ImportedUser,
    ImportRefused,
    ImportRules,
    read_users,
)
from quartlogin.accounts.users.own import MAX_USERNAME_LENGTH, display_name, normalize_username, validate_username
from quartlogin.tokens import Purpose, Token, bearer_token, load
from quartlogin.webapp.middleware import ProxyHeadersMiddleware

SITE = "https://site.example"
CORPUS = Path(__file__).with_name("corpus")

#: The cookies among the seeds are to be good for as long as there are tests.
_A_LONG_TIME = 100 * 366 * 24 * 60 * 60  # seconds

_SESSION_SALT = b"quartlogin session of fuzzed"
_TOKEN_SALTS = {"remember": b"quartlogin remember token of fuzzed", "bearer": b"quartlogin bearer token of fuzzed"}

#: What Hypercorn's parser lets through (RFC 9112): everything else never reaches the application.
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(rb"[!-~]+")
_VALUE = re.compile(rb"[\t -~\x80-\xff]*")

#: Where forms go, by the first byte of an input, and whether whoever sends them is signed in.
_FORMS = {
    b"l": (b"/login", False),
    b"r": (b"/register", False),
    b"o": (b"/logout", False),
    b"p": (b"/account/password", True),
    b"a": (b"/reauthenticate", True),
    b"d": (b"/account/delete", True),
    b"t": (b"/account/tokens", True),
    b"v": (b"/account/tokens/none/revoke", True),
}


# --- cookies and tokens ---------------------------------------------------------------------------------------


@cache
def small_app() -> Quart:
    """Return an app that has keys and a session, and no pages."""
    app = Quart("fuzzed", template_folder=None, static_folder=None)
    app.config.update(SECRET_KEY=KEY, PERMANENT_SESSION_LIFETIME=_A_LONG_TIME)
    app.session_interface = SignedSessionInterface()
    LoginManager(app)
    app.logger.handlers[:] = [_Formatter()]
    app.logger.propagate = False
    return app


class _Formatter(logging.Handler):
    """Puts what is logged into words and drops it: that must not fail either, whatever a cookie holds."""

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


def session_cookie(data: bytes) -> None:
    """A cookie of any text: the session is empty, unless our key has signed this very text."""
    cookie = _text(data)
    contents = _open_session(cookie)
    assert not contents or _has_our_signature(cookie), f"unsigned, and yet it counts: {contents}"


def signed_session(data: bytes) -> None:
    """A cookie that our key has signed, with anything inside: a dict as it was written, or an empty session."""
    payload = _session_payload(data)
    signer = TimestampSigner(KEY, salt=_SESSION_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
    cookie = signer.sign(payload).decode("latin-1")
    contents = _open_session(cookie)
    assert not contents or _is_json_object(payload), f"malformed, and yet it counts: {contents}"


def token_text(data: bytes) -> None:
    """A remember cookie and a bearer token of any text: none, unless our key has signed it for this very purpose."""
    text = _text(data)
    header = "Bearer " + re.sub("[\r\n\0\ud800-\udfff]", "", text)  # what a header can hold
    purposes: tuple[Purpose, Purpose] = ("remember", "bearer")
    for purpose in purposes:
        token = _in_request(partial(load, purpose, text))
        assert token is None or _has_token_signature(purpose, text), f"unsigned, and yet it counts: {token}"
    found = _in_request(bearer_token, {"Authorization": header})
    assert found is None or isinstance(_in_request(partial(load, "bearer", found)), Token | None)
    login = _in_request(partial(decode_cookie, text))
    assert login is None or _in_request(partial(encode_cookie, login)) == text, login


def signed_token(data: bytes) -> None:
    """A token that our key has signed, with anything inside: none, or one whose every part has its type."""
    payload = _text(data)
    signed = urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=") if data[:1] != b"r" else data[1:]
    signer = TimestampSigner(KEY, salt=_TOKEN_SALTS["remember"], digest_method=hashlib.sha512)
    text = signer.sign(signed).decode("latin-1")
    token = _in_request(partial(load, "remember", text))
    assert _in_request(partial(load, "bearer", text)) is None, "a remember cookie counts as a bearer token"
    if token is not None:
        assert isinstance(token.user_id, str), token
        assert isinstance(token.login_id, str), token
        assert isinstance(token.expires_at, int), token
        assert token.expires_at > time.time() - 1, token
        assert isinstance(token.secret, str | None), token
        assert isinstance(token.seconds, int | None), token


def _open_session(cookie: str) -> dict[str, Any]:
    app = small_app()
    request: Any = SimpleNamespace(cookies={"session": cookie})

    async def work() -> dict[str, Any]:
        async with app.test_request_context("/"):
            return dict(await app.session_interface.open_session(app, request) or {})

    return run_briefly(work())


def _in_request(question: Callable[[], Any], headers: dict[str, str] | None = None) -> Any:
    async def work() -> Any:
        async with small_app().test_request_context("/", headers=headers):
            return question()

    return run_briefly(work())


def _session_payload(data: bytes) -> bytes:
    """Write what is to be signed; the first letter says in which of the forms that itsdangerous reads."""
    kind, rest = data[:1], data[1:]
    if kind == b"r":
        return rest
    if kind == b"z":
        return b"." + urlsafe_b64encode(zlib.compress(rest)).rstrip(b"=")
    if kind == b".":
        return b"." + urlsafe_b64encode(rest).rstrip(b"=")
    return urlsafe_b64encode(rest).rstrip(b"=")


def _is_json_object(payload: bytes) -> bool:
    """Tell whether a payload is a JSON object, read without itsdangerous."""
    body = payload.removeprefix(b".")
    try:
        read = urlsafe_b64decode(body + b"=" * (-len(body) % 4))
        return isinstance(json.loads(zlib.decompress(read) if body != payload else read), dict)
    except (ValueError, zlib.error, RecursionError):
        return False


def _has_our_signature(cookie: str) -> bool:
    """Tell whether a session cookie ends in the signature that the standard library computes, letter by letter."""
    signed, _, signature = cookie.rpartition(".")
    key = hmac.digest(KEY.encode(), _SESSION_SALT, "sha256")
    right = urlsafe_b64encode(hmac.digest(key, signed.encode("utf-8", "surrogatepass"), "sha256"))
    return signature == right.rstrip(b"=").decode()


def _has_token_signature(purpose: str, text: str) -> bool:
    """Tell whether a token ends in the signature that the standard library computes, letter by letter."""
    signed, _, signature = text.rpartition(".")
    key = hashlib.sha512(_TOKEN_SALTS[purpose] + b"signer" + KEY.encode()).digest()
    right = urlsafe_b64encode(hmac.digest(key, signed.encode("utf-8", "surrogatepass"), "sha512"))
    return signature == right.rstrip(b"=").decode()


# --- where a browser may be sent ------------------------------------------------------------------------------


def next_page(data: bytes) -> None:
    """A `next` of any text: what `safe_next` returns, and what a redirect makes of it, stays on this site."""
    target = safe_next(_text(data))
    if target is None:
        return
    assert target.startswith("/"), target
    assert not target.startswith("//"), target
    location = redirect(target).headers["Location"]
    for sent in (target, location):
        assert "\r" not in sent, sent
        assert "\n" not in sent, sent
        assert origin_in_a_browser(sent) == SITE, sent


def origin_in_a_browser(reference: str) -> str:
    """Return where a page of this site leads with this reference, as the WHATWG URL standard reads it.

    Short, since it need not tell two other sites apart: what has a scheme or two slashes in front leads elsewhere.
    """
    text = reference.strip("".join(map(chr, range(0x21))))
    text = re.sub("[\t\r\n]", "", text).replace("\\", "/")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    if scheme is not None:
        return scheme[1].lower() + ":"
    return "https:" + re.split("[/?#]", text.lstrip("/"))[0] if text.startswith("//") else SITE


# --- requests -------------------------------------------------------------------------------------------------


def posted_form(data: bytes) -> None:
    """Any body of any type, posted to a form, with the form's own token or without: never worse than a refusal.

    The first byte says which form, the second is `+` to have the token put in front; then the content type, where
    an empty line stands for a form's own, and after the line end the body.
    """
    path, signed_in = _FORMS.get(data[:1], (b"/login", False))
    content_type, _, body = data[2:].partition(b"\n")
    if _VALUE.fullmatch(content_type) is None:
        return
    app = fuzzed_app()
    sender = app.member if signed_in else app.stranger
    if data[1:2] == b"+":
        body = b"csrf_token=" + sender.form_token.encode() + b"&" + body
    answer = app.post(path, sender, body, content_type.strip() or FORM_TYPE)
    assert 200 <= answer.status < 500, answer


def request_head(data: bytes) -> None:
    """A request of any host, address and headers that Hypercorn's parser takes: never worse than a refusal."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    headers = [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
    if _TOKEN.fullmatch(method) is None or _TARGET.fullmatch(target) is None:
        return
    if not all(_TOKEN.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers):
        return
    answer = fuzzed_app().answer(method.decode().upper(), target, headers, body)
    assert 200 <= answer.status < 500, answer
    hosts = [re.escape(re.sub(rb":[0-9]+$", b"", value)) for name, value in headers if name == b"host"]
    own = re.compile(rb"https?://(?:" + b"|".join(hosts) + rb")(?::[0-9]+)?/.*", re.IGNORECASE)
    for name, value in answer.headers:
        assert _VALUE.fullmatch(value), (name, value)
        if name.lower() == b"location" and not own.fullmatch(value):  # Werkzeug names the host that was asked
            assert origin_in_a_browser(value.decode("latin-1")) == SITE, value


def proxies(data: bytes) -> None:
    """What proxies say, one header a line: the client is whom the outermost trusted one saw, and an address."""
    count = 1 + len(data) % 3
    headers = [(name.strip(), value) for name, _, value in (line.partition(b":") for line in data.split(b"\n"))]
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: object, send: object) -> None:
        seen.update(scope)

    before = {"type": "http", "scheme": "http", "client": ("10.0.0.9", 4711), "headers": headers}
    run_briefly(ProxyHeadersMiddleware(app, count)(before, None, None))
    assert seen["scheme"] in {"http", "https"}, seen
    if seen["client"] != before["client"]:
        said = b",".join(value for name, value in headers if name.lower() == b"x-forwarded-for")
        assert said.decode("latin-1").split(",")[-count].strip() == seen["client"][0], seen
        assert ip_address(seen["client"][0].partition("%")[0]), seen


# --- what is kept, and what is typed --------------------------------------------------------------------------


def remember_secrets(data: bytes) -> None:
    """The line that is kept of a login's secrets: whatever is in it, what is written of it is read again."""
    now = 1_800_000_000
    secrets = RememberTokens.read(_text(data), now)
    assert RememberTokens.read(secrets.write(), now) == secrets, secrets
    for secret in [*secrets.open, *secrets.replaced, *secrets.closed]:
        assert secrets.is_valid(secret), secret
        for after in (secrets.after_replacing(secret, "ab", now), secrets.after_seeing(secret, now)):
            assert after is None or after.open, after


def username(data: bytes) -> None:
    """A name of any text: none, or one whose key is short, visible, its own key and that of its other spellings."""
    typed = _text(data)
    key = normalize_username(typed)
    assert (key is None) == (validate_username(typed) is not None), key
    if key is None:
        return
    assert 1 <= len(key) <= MAX_USERNAME_LENGTH, key
    assert normalize("NFKC", key) == key, key
    assert not [character for character in key if category(character)[0] in "CZ" and character != " "], key
    spellings = [key, display_name(typed), normalize("NFD", typed), f" {typed} "]
    assert {normalize_username(spelling) for spelling in spellings if len(spelling) <= MAX_USERNAME_LENGTH} <= {key}, (
        spellings
    )


def people_file(data: bytes) -> None:
    """A file of accounts: refused as a whole, or each line is a person with a name or a bad line with a reason."""
    path = _people_path()
    path.write_bytes(data)
    keys = []
    try:
        for entry in read_users(path, ImportRules(15, ("Quartlogin",))):
            if isinstance(entry, ImportedUser):
                assert normalize_username(entry.username) == entry.key, entry
                keys.append(entry.key)
            else:
                assert isinstance(entry, BadLine), entry
                assert entry.reason, entry
    except ImportRefused:
        return
    finally:
        path.unlink()
    assert len(keys) == len(set(keys)), keys


def _people_path() -> Path:
    return Path(tempfile.gettempdir()) / f"quartlogin-people-{os.getpid()}.csv"


def _text(data: bytes) -> str:
    """Read bytes as text of any kind: what is no UTF-8 becomes lone surrogates, the worst there is."""
    return data.decode("utf-8", "surrogateescape")


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        session_cookie,
        signed_session,
        token_text,
        signed_token,
        next_page,
        posted_form,
        request_head,
        proxies,
        remember_secrets,
        username,
        people_file,
    )
}
