"""Reading a browser's cookies from a file: a cookie jar, or the text of a `Cookie` header."""

from dataclasses import dataclass
from http.cookiejar import Cookie, LoadError, MozillaCookieJar
from ipaddress import ip_address
from pathlib import Path
from time import time
from typing import Final
from urllib.parse import SplitResult
from warnings import catch_warnings

import click

_LARGEST: Final = 1024 * 1024  # bytes
_NAME: Final = "cookie:"


@dataclass(frozen=True, slots=True)
class Cookies:
    """The cookies of a file, for one address."""

    #: The value of the `Cookie` header.
    header: str
    #: One sentence for each cookie that a browser would not send there; without values.
    not_sent: tuple[str, ...] = ()


def read_cookies(path: Path, url: SplitResult) -> Cookies:
    """Read the cookies that a browser would send to an address.

    Args:
        path: A cookie jar as curl's `--cookie-jar` and browsers' exports write it (Netscape's format), or a file with
            the value of a `Cookie` header, with or without the header's name.
        url: The address.

    Raises:
        click.ClickException: The file is neither, or cannot be read.
    """
    jar = MozillaCookieJar()
    try:
        if path.stat().st_size > _LARGEST:
            raise click.ClickException("The cookie file is larger than a megabyte: it must hold cookies only.")
        with catch_warnings(action="ignore"):  # about lines that are malformed
            jar.load(str(path), ignore_discard=True, ignore_expires=True)
        return _from_jar(jar, url)
    except LoadError:  # it is no cookie jar
        return _from_header(path.read_text("utf-8", "replace"))
    except OSError as error:
        raise click.ClickException(f"The cookie file cannot be read: {error.strerror}.") from None


def _from_header(text: str) -> Cookies:
    lines = [line.strip() for line in text.splitlines()]
    values = [line[len(_NAME) :] if line.lower().startswith(_NAME) else line for line in lines]
    pairs = [pair.strip() for value in values for pair in value.split(";") if pair.strip()]
    if not pairs or not all(map(_is_cookie, pairs)):
        raise click.ClickException(
            "The cookie file holds no cookies: give it a cookie jar (curl --cookie-jar FILE), or what a browser's "
            "developer tools show as the Cookie header, such as `session=...`."
        )
    return Cookies("; ".join(pairs))


def _is_cookie(pair: str) -> bool:
    name, equals, _ = pair.partition("=")
    return bool(name and equals) and "," not in name and len(pair.split()) == 1


def _from_jar(jar: MozillaCookieJar, url: SplitResult) -> Cookies:
    sent: list[str] = []
    refused: list[str] = []
    for cookie in jar:
        reason = _reason_not_sent(cookie, url)
        if reason is None:
            sent.append(f"{cookie.name}={cookie.value or ''}")
        else:
            refused.append(f"The file's cookie {cookie.name!r:.80} is not sent to this address: {reason}.")
    return Cookies("; ".join(sent), tuple(refused))


def _reason_not_sent(cookie: Cookie, url: SplitResult) -> str | None:
    """Return why a browser would not send a cookie to an address (RFC 6265, 5.4), `None` if it would."""
    host, path = url.hostname or "", url.path or "/"
    if not _matches_host(cookie, host):
        return f"it belongs to the host {cookie.domain.lstrip('.'):.80}"
    if not _matches_path(cookie.path, path):
        return f"it belongs to the path {cookie.path:.80}"
    if cookie.secure and url.scheme != "https":
        return "it is Secure, and the address is not https"
    if cookie.expires is not None and 0 < cookie.expires <= time():
        return "it has expired"
    return None


def _matches_host(cookie: Cookie, host: str) -> bool:
    domain = cookie.domain.lstrip(".").lower()
    if host.lower() == domain:
        return True
    return cookie.domain_specified and not _is_address(host) and host.lower().endswith(f".{domain}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _matches_path(of_cookie: str, path: str) -> bool:
    if path == of_cookie:
        return True
    return path.startswith(of_cookie) and (of_cookie.endswith("/") or path[len(of_cookie)] == "/")
