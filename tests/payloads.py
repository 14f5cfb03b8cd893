"""What no honest browser sends, and a way to send it: byte for byte, as a server hands it to the application."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from quart import Quart

PATIENCE = 60  # seconds until a test gives up on what hangs
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "MAKEUP"]
FORM = b"application/x-www-form-urlencoded"

Headers = tuple[tuple[bytes, bytes], ...]

#: For the variable parts of addresses, for queries and for fields of forms.
WORDS = [
    b"1",
    b"9" * 5000,
    b"-9223372036854775809",
    b"\x00",
    b"a\x00b",
    b"\xff\xfe",
    b"\xed\xa0\x80",  # a lone surrogate
    "\u202e\u0301\ufeff".encode(),
    b"' OR '1'='1' --",
    b'x"); DROP TABLE quartlogin_users; --',
    b"{{7*7}}{{1787*1789}}{% raw %}${7*7}",
    b"<img src=x onerror=alert(1)>\"'",
    b'ok\r\nSet-Cookie: a=b\r\n\n{"event": "signed_in"}\x1b[2J',
    b"../../../../etc/passwd",
    b"//evil.example/%2e%2e\\",
    b"%s%n%(x)s{0.__class__}",
]
#: For `next`: none of them is the path of a page of ours, and many lead a browser to another site, or into a script.
NEXTS = [
    "",
    " ",
    "account",
    "account/2",
    "./account",
    "../account",
    ".",
    "?tab=2",
    "#top",
    "@elsewhere.example",
    ":80",
    "elsewhere.example",
    "www.elsewhere.example/",
    "http://elsewhere.example",
    "https://elsewhere.example/",
    "https://localhost/",
    "HTTPS://elsewhere.example/",
    "hTtP://elsewhere.example",
    "http:elsewhere.example",
    "https:elsewhere.example",
    "http:/elsewhere.example",
    "http:///elsewhere.example",
    "http:////elsewhere.example",
    "https:\\\\elsewhere.example",
    "https:/\\elsewhere.example",
    "https:\\/elsewhere.example",
    "ftp://elsewhere.example/",
    "ws://elsewhere.example/",
    "wss://elsewhere.example/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    " javascript:alert(1)",
    "\x01javascript:alert(1)",
    "\x1fjavascript:alert(1)",
    "javascript://%0aalert(1)",
    "javascript:alert(1)//http://localhost/",
    "vbscript:msgbox(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD4=",
    "blob:https://localhost/1",
    "about:blank",
    "mailto:ada@elsewhere.example",
    "tel:110",
    "intent://elsewhere.example/",
    "view-source:https://elsewhere.example/",
    "x-made-up:anything",
    "//",
    "//elsewhere.example",
    "//elsewhere.example/account",
    "//localhost",
    "//localhost@elsewhere.example",
    "//user:secret@elsewhere.example/",
    "//elsewhere.example:443/",
    "//elsewhere.example\\@localhost/",
    "//elsewhere.example#@localhost/",
    "//elsewhere.example?@localhost/",
    "//2130706433/",
    "//0x7f.1/",
    "//127.1",
    "//[::1]/",
    "//[::1",
    "//[",
    "//]",
    "//[elsewhere.example]",
    "//evil℀.example",
    "//evil／example",
    "//elsewhere。example",
    "//elsewhere%2eexample",
    "//%65lsewhere.example",
    "//xn--nxasmq6b/",
    "///",
    "///elsewhere.example",
    "////elsewhere.example",
    "/////elsewhere.example",
    "//////////elsewhere.example",
    "///elsewhere.example@localhost",
    "//..//elsewhere.example",
    "//./elsewhere.example",
    "//\\elsewhere.example",
    "/\\elsewhere.example",
    "/\\/elsewhere.example",
    "/\\\\elsewhere.example",
    "\\",
    "\\\\",
    "\\/elsewhere.example",
    "\\\\elsewhere.example",
    "\\elsewhere.example",
    "\\\\\\elsewhere.example",
    "/account\\..\\..\\elsewhere.example",
    "/account\\",
    "/?next=\\",
    "/\t/elsewhere.example",
    "/\n/elsewhere.example",
    "/\r/elsewhere.example",
    "/\r\n/elsewhere.example",
    "/\t\\elsewhere.example",
    "/\t\n\r/elsewhere.example",
    "\t//elsewhere.example",
    "\n//elsewhere.example",
    "\r//elsewhere.example",
    " //elsewhere.example",
    "\x00//elsewhere.example",
    "\x0b//elsewhere.example",
    "\x0c//elsewhere.example",
    "\x1c//elsewhere.example",
    "\t/account",
    " /account",
    "\x00/account",
    "/account ",
    "/account\t",
    "/account\n",
    "/account\r\nSet-Cookie: session=planted",
    "/account\nLocation: https://elsewhere.example",
    "/account\r\n\r\n<script>alert(1)</script>",
    "/acc\x00ount",
    "/account\x00",
    "/\x00/elsewhere.example",
    "/\x01/elsewhere.example",
    "/\x08/elsewhere.example",
    "/\x0b/elsewhere.example",
    "/\x0c/elsewhere.example",
    "/\x1b/elsewhere.example",
    "/\x1f/elsewhere.example",
    "/\x7f/elsewhere.example",
    "/\x80/elsewhere.example",
    "/\x85/elsewhere.example",
    "/\x9f/elsewhere.example",
    "/ /elsewhere.example",
    "/\xa0/elsewhere.example",
    "/\xad/elsewhere.example",
    "/\u1680/elsewhere.example",
    "/\u180e/elsewhere.example",
    "/\u2000/elsewhere.example",
    "/\u200b/elsewhere.example",
    "/\u200e/elsewhere.example",
    "/\u2028/elsewhere.example",
    "/\u2029/elsewhere.example",
    "/\u202e/elsewhere.example",
    "/\u2060/elsewhere.example",
    "/\u3000/elsewhere.example",
    "/\ufeff/elsewhere.example",
    "\ufeff//elsewhere.example",
    "\u200b//elsewhere.example",
    "\u3000//elsewhere.example",
    "/\ud800",
    "/\udfff/elsewhere.example",
    "/\ue000",
    "／／elsewhere.example",
    "／elsewhere.example",
    "/" + "\\" * 10 + "elsewhere.example",
    "⁄⁄elsewhere.example",
    "∕∕elsewhere.example",
    "%2f%2felsewhere.example",
    "%2Faccount",
    "%5c%5celsewhere.example",
    "<//elsewhere.example",
    "<script>alert(1)</script>",
    "()//elsewhere.example",
    "/" + "a" * 2048,
    "/" * 2500,
    "/" + "é" * 2500,
    "/" + "é" * 342,  # 2053 characters in a header
    "/" + "🦊" * 500,
    "https://" + "a" * 10_000,
]
#: For `next` where the domain of cookies is `site.example`: they look like its hosts, and lead elsewhere, or nowhere.
FOREIGN_HOSTS = [
    "https://elsewhere.example/",
    "https://site.example.elsewhere.example/",
    "https://elsewhere-site.example/",
    "https://elsewheresite.example/",
    "https://site.example@elsewhere.example/",
    "https://site.example:443@elsewhere.example/",
    "https://site.example:secret@elsewhere.example/",
    "https://elsewhere.example#site.example",
    "https://elsewhere.example?site.example",
    "https://elsewhere.example/site.example",
    "https://elsewhere.example/.site.example",
    "https://elsewhere.example\\.site.example/",
    "https://elsewhere.example%2f.site.example/",
    "https://elsewhere.example%23.site.example/",
    "https://elsewhere.example%00.site.example/",
    "https://elsewhere.example:80.site.example/",
    "https://elsewhere.example;.site.example/",
    "https://elsewhere.example,.site.example/",
    "https://elsewhere.example／.site.example/",
    "https://elsewhere.example？.site.example/",
    "https://elsewhere.example＃.site.example/",
    "https://elsewhere.example℀.site.example/",
    "https://elsewhere.example。site.example/",
    "https://[::1].site.example/",
    "https://[site.example]/",
    "https://.site.example/",
    "https://..site.example/",
    "https://a..site.example/",
    "https://site.example./",
    "https://shop.site.example./",
    "https://site。example/",
    "https://site．example/",
    "https://ſite.example/",
    "https://site.eхample/",
    "https://sitе.example/",
    "https://\u00adsite.example/",
    "https://s\u200bite.example/",
    "https://xn--site-.example/",
    "https://site.exampl/",
    "https://site.example2/",
    "https://site.example:/",
    "https://site.example:99999/x",
    "https://site.example:4443x/",
    "https://site.example:８０/",
    "https://site.example: 80/",
    "https://site.example :80/",
    "https://site.example\t.elsewhere.example/",
    "https://site.example\n@elsewhere.example/",
    "https://site.example\\@elsewhere.example/",
    "https://site.example\\.elsewhere.example/",
    "https:site.example/",
    "https:/site.example/",
    "https:///site.example/",
    "https:////site.example/",
    "https:\\\\site.example/",
    "https:/\\site.example/",
    "//site.example/",
    "///site.example/",
    "\\\\site.example/",
    "/\\site.example/",
    "site.example/",
    "http://site.example/",
    "http://shop.site.example/",
    "HTTP://shop.site.example/",
    "ftp://shop.site.example/",
    "wss://shop.site.example/",
    "javascript://shop.site.example/%0aalert(1)",
    "data://shop.site.example/,x",
    "blob:https://shop.site.example/1",
    "filesystem:https://shop.site.example/",
    "view-source:https://shop.site.example/",
    " https://shop.site.example/",
    "https://shop.site.example/ ",
    "https://shop.site.example/\r\nSet-Cookie: a=b",
    "https://user@shop.site.example/",
    "https://@shop.site.example/",
    "https://:@shop.site.example/",
    "https://shop.site.example/\\elsewhere.example",
    "https://shop.site.example/" + "a" * 2048,
    "https://" + "a." * 2000 + "site.example/",
]
#: What no answer may have in it: a word that was taken for HTML, or for a template.
CARRIED_OUT = [b"<img src=x", b"3196943"]

#: Each is sent with one request. A `Host` takes the place of the honest one, a `Cookie` comes behind it.
HEADERS: list[Headers] = [
    ((b"host", b"evil.example"),),
    ((b"host", b"a b\xff"),),
    ((b"host", b".."),),
    ((b"host", b"xn--a:99999"),),
    ((b"host", b"xn--a"),),
    ((b"host", b"localhost"), (b"host", b"evil.example")),
    ((b"x-forwarded-for", b"' OR 1=1, \xff, ::1"), (b"x-forwarded-host", b"evil.example"), (b"forwarded", b"for=\xff")),
    ((b"x-forwarded-proto", b"https"), (b"x-real-ip", b"9" * 500), (b"x-forwarded-prefix", b"//evil.example")),
    ((b"cookie", b"quartlogin=\xff\xfe\x80; quartlogin_remember=\xff; =;;=\xe9"),),
    ((b"cookie", b"quartlogin=e30.aaaa.bbbb; quartlogin_remember=WyJ4Il0.aaaa.bbbb"),),
    ((b"cookie", b"quartlogin=" + b"." * 9000 + b"; quartlogin_remember=" + b"9" * 9000),),
    ((b"authorization", b"Bearer \xff\xfe\x80"),),
    ((b"authorization", b"Bearer WyIxIiwiMSIsMSxudWxsLG51bGxd.aaaa.bbbb"),),
    ((b"authorization", b"Bearer " + b"[" * 5000), (b"authorization", b"Basic \xff:\xff")),
    ((b"origin", b"http://[\xff"), (b"referer", b"http://[\xff"), (b"sec-fetch-site", b"same-origin")),
    ((b"user-agent", b"<img src=x onerror=alert(1)>{{1787*1789}}\x1b[2J\t\xff" * 20),),
    ((b"x-http-method-override", b"DELETE"), (b"x-original-url", b"/account"), (b"x-remote-user", b"1")),
    ((b"accept", b"\xff/*;q=z"), (b"accept-language", b"\xff;q=9"), (b"accept-encoding", b"\xff, gzip;q=-1")),
    ((b"range", b"bytes=9-1,-9,\xff"), (b"if-none-match", b'W/"\xff'), (b"if-range", b"\xff"), (b"if-match", b'"')),
    ((b"if-modified-since", b"Thu, 01 Jan 99999999999999 00:00:00 GMT"), (b"if-unmodified-since", b"\xff")),
    ((b"content-length", b"-1"), (b"transfer-encoding", b"\xff")),
    ((b"content-length", b"9" * 5000),),
    ((b"content-length", b"\xb2"),),  # a digit, to some
    ((b"connection", b"upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-key", b"\xff")),
]


@dataclass(frozen=True)
class Request:
    """What is sent, as it goes over the wire."""

    method: str
    path: bytes
    query: bytes = b""
    headers: Headers = ()
    body: bytes = b""
    is_websocket: bool = False

    def __str__(self) -> str:
        cut = {name: value[:200] for name, value in (*self.headers, (b"query", self.query), (b"body", self.body))}
        return f"{'WEBSOCKET' if self.is_websocket else self.method} {self.path[:120]!r} {cut}"

    def says(self, text: bytes) -> bool:
        """Tell whether this text was sent, so that an answer that repeats it tells nothing."""
        return any(text in part.lower() for part in (self.path, self.query, self.body))


@dataclass(frozen=True)
class Answer:
    """What comes back: of a websocket, all its messages one behind the other."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes:
        return b", ".join(value for known, value in self.headers if known.lower() == name)


@dataclass(frozen=True)
class Attack:
    """What is done to a route, whichever it is."""

    part: bytes  # in the place of each variable part of the address
    query: bytes = b""
    headers: Headers = ()
    body: bytes = b""
    content_type: bytes = FORM


def attacks(fields: list[str], honest: dict[str, str], parts: list[bytes]) -> Iterator[Attack]:
    """Everything that is sent to every route; first of all an honest form with nothing in it.

    Args:
        fields: What the forms call their fields; a form's token is not among them.
        honest: Fields as an honest visitor fills them in, with the form's token.
        parts: For the variable parts of addresses, where nothing else is hostile: what names something of somebody.
    """
    form, token = urlencode(honest).encode(), {"csrf_token": honest["csrf_token"]}
    for part in parts:
        claims = urlencode({"user_id": part, "id": part, "ref": part, "user": part, "is_admin": 1}).encode()
        yield Attack(part, body=urlencode(token).encode())
        yield Attack(part, claims, body=form + b"&" + claims)
    for word in WORDS:
        everywhere = urlencode(dict.fromkeys(fields, word)).encode()
        yield Attack(word, everywhere, body=urlencode(token).encode() + b"&" + everywhere)
        partly = urlencode({**honest, "next": word, "name": word}).encode()
        yield Attack(parts[0], b"next=/&" + everywhere + b"&" + everywhere, body=partly)
    for headers in HEADERS:
        yield Attack(parts[0], headers=headers, body=form)
    for content_type, body in _bodies(form, token["csrf_token"].encode()):
        yield Attack(parts[0], body=body, content_type=content_type)


def _bodies(form: bytes, token: bytes) -> Iterator[tuple[bytes, bytes]]:
    file = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="../\xff"\r\n\r\n%s\r\n'
    for json in (b"[]", b"1e999", b"NaN", b'{"csrf_token": ["%s"]}' % token, b"[" * 30_000, b"9" * 5000, b'"\\ud800"'):
        yield b"application/json", json
    yield b"multipart/form-data; boundary=b", file % (b"csrf_token", token) + file % (b"name", b"\0") + b"--b--"
    yield b"multipart/form-data; boundary=" + b"\xff" * 200, b"--\xff"
    yield b"multipart/form-data", form
    yield b"text/plain; charset=\xff", form
    yield FORM + b"; charset=utf-7", form
    yield b"", form
    yield FORM, form + b"&" + form
    yield FORM, form + b"&csrf_token[]=%ff&csrf_token=%00"
    yield FORM, form + b"&%00=%ed%a0%80&=&&;%%%"
    yield FORM, form + b"&" + b"&".join(b"f%d=1" % number for number in range(1000))
    yield FORM, form + b"&name=" + b"x" * 70_000


def request_of(attack: Attack, method: str, rule: str, cookie: bytes, *, is_websocket: bool = False) -> Request:
    """Make the request with which a route is attacked.

    Args:
        attack: What is done to it.
        method: GET, say.
        rule: The route's address, with its variable parts in angle brackets.
        cookie: What the sender is known by.
        is_websocket: Whether to open one.
    """
    ends = [piece.rpartition(">")[2].encode() for piece in rule.split("<")]
    content = ((b"content-type", attack.content_type), (b"content-length", b"%d" % len(attack.body)))
    usual: Headers = ((b"host", b"localhost"), (b"user-agent", b"Quart"), *(() if is_websocket else content))
    replaced = {name for name, _ in attack.headers}
    headers = (*(pair for pair in usual if pair[0] not in replaced), (b"cookie", cookie), *attack.headers)
    path = quote(attack.part).encode().join(ends)
    return Request(method, path, attack.query, headers, attack.body, is_websocket)


async def send(app: Quart, request: Request) -> Answer:
    """Send a request past every client, which would refuse to; what the application raises, a server answers with 500.

    A websocket that is accepted is told the body, and left when it answers with its end.
    """
    kind = "websocket" if request.is_websocket else "http"
    to_app: asyncio.Queue[Any] = asyncio.Queue()
    told: list[Any] = []

    async def take(message: Any) -> None:
        told.append(message)
        if message["type"] == "websocket.accept":
            to_app.put_nowait({"type": "websocket.receive", "text": request.body.decode("latin-1"), "bytes": None})
        elif message["type"] == "websocket.close":
            to_app.put_nowait({"type": "websocket.disconnect", "code": 1005})
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            to_app.put_nowait({"type": "http.disconnect"})  # as servers do; some versions of Quart wait for it
        elif message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})

    first = {"type": "websocket.connect"} if request.is_websocket else {"type": "http.request", "body": request.body}
    to_app.put_nowait(first)
    try:
        async with asyncio.timeout(PATIENCE):
            await app(_scope(kind, request), to_app.get, take)  # type: ignore[arg-type]
    except Exception as error:
        return Answer(500, (), f"raised {error!r}".encode())
    return _answer(told)


def _scope(kind: str, request: Request) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "ws" if request.is_websocket else "http",
        "server": ("localhost", 80),
        "path": unquote(request.path.decode("ascii")),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": [*request.headers],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}} if request.is_websocket else {},
    }


def _answer(told: list[Any]) -> Answer:
    statuses = {"websocket.accept": 101, "websocket.close": 403}
    status = next((message.get("status") or statuses.get(message["type"]) for message in told), None) or 500
    headers = tuple(pair for message in told for pair in message.get("headers") or ())
    body = b"".join(message.get("body") or (message.get("text") or "").encode() for message in told)
    return Answer(status, headers, body)
