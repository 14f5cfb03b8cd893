"""Diagnoses of a session cookie that did not come: the browser withheld it, or never had it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..sessions.inspection import LONGEST_COOKIE
from .case import Case, Diagnosis, Rule, Situation, earlier_steps, host_name, without_prefix
from .recorder import Recording

TOO_LONG_TO_KEEP: Final = Situation(
    "session cookie over 4096 bytes",
    "The last response that set the cookie {cookie} made it {length} characters long, and browsers drop cookies over "
    "4096 bytes.",
    "Keep less in the session: an id of what is in the database, or a session interface that keeps sessions on the "
    "server.",
)
WRONG_DOMAIN: Final = Situation(
    "cookie for another domain",
    "The last response that set the cookie {cookie} set it for {domain}, and it came from {host}, from which browsers "
    "refuse that.",
    "Remove SESSION_COOKIE_DOMAIN, or set it to {host} or a domain above it.",
)
SECURE_OVER_HTTP: Final = Situation(
    "Secure cookie over http",
    "The last response that set the cookie {cookie} made it Secure, and this request came over http, where browsers "
    "do not send it.",
    "Use https, or set SESSION_COOKIE_SECURE = False while you develop.",
)
OTHER_HOST: Final = Situation(
    "other host",
    "The last response that set the cookie {cookie} came from {there}, and this request went to {here}: cookies of "
    "one host are not sent to another.",
    "Always open the site as {there}, in links and redirects too; for a domain and those below it set "
    "SESSION_COOKIE_DOMAIN.",
)
OTHER_PATH: Final = Situation(
    "other path",
    "The last response that set the cookie {cookie} set it for the path {path}, which {route} is not below.",
    'Set SESSION_COOKIE_PATH = "/", or a path that is above all pages.',
)
IN_IFRAME: Final = Situation(
    "iframe on another site",
    "Another site shows this page in a frame, where browsers send no cookie with SameSite={samesite}.",
    'Set SESSION_COOKIE_SAMESITE = "None", SESSION_COOKIE_SECURE = True and SESSION_COOKIE_PARTITIONED = True, or '
    "open the "
    "page outside of the frame.",
)
FROM_OTHER_SITE: Final = Situation(
    "request from another site",
    "A page of another site made the browser send this {method}, without cookies that have SameSite={samesite}.",
    'Redirect to the page once more from this site, or use SESSION_COOKIE_SAMESITE = "Lax" and a GET for such links.',
)
FETCHED_WITHOUT_CREDENTIALS: Final = Situation(
    "fetch without credentials",
    "A script of another origin (another port is one, too) fetched this, and fetch() sends no cookies to other "
    "origins.",
    'Serve both from one origin, or write fetch(url, {{credentials: "include"}}) and answer with '
    "Access-Control-Allow-Credentials (another site needs SameSite=None and Secure, too).",
)
SET_FOR_FETCH: Final = Situation(
    "login fetched without credentials",
    "The last response that set the cookie {cookie} answered a script of another origin (another port is one, too), "
    "whose browser keeps it only if the script asks for that.",
    'Serve both from one origin, or write fetch(url, {{credentials: "include"}}) for the login, too.',
)
OTHER_PREFIX: Final = Situation(
    "cookie under another name",
    "The browser sent {found}, and a request over {scheme} is expected to have {cookie}.",
    "Have the proxy tell the app that visitors use https (X-Forwarded-Proto, which the app must trust); for a cookie "
    "of Quart's own interface write SignedSessionInterface(read_flask_cookie=True).",
)
NEVER_SET: Final = Situation(
    "login without a cookie",
    "login_user was called {ago} ago in {endpoint}, and the response did not set the cookie {cookie}.",
    "Do not clear or replace the session after login_user, and let nothing remove Set-Cookie from the response.",
)
NOT_SENT: Final = Situation(
    "cookie not sent",
    "The last response that set the cookie {cookie} did so {ago} ago, and this request came without it: from another "
    "browser or window, from a page of another site, or from a client that keeps no cookies.",
    "Sign in with this client: login_user(user, remember=True) outlives the browser, and a program must send its "
    "cookies.",
)
FIRST_VISIT: Final = Situation(
    "first visit",
    "No session cookie came, and no recorded request has signed anyone in.",
    "Sign in, on a page that calls login_user.",
)

_OTHER_ORIGINS: Final = ("cross-site", "same-site")
_LOOPBACK: Final = ("localhost", "::1")


@dataclass(frozen=True, slots=True)
class _Last:
    """The last response that set the session cookie, and the request that came without it."""

    case: Case
    recording: Recording
    #: The details of its step `cookie_written`.
    cookie: Mapping[str, Any]

    @property
    def host(self) -> str:
        """Where it was set."""
        return host_name(self.recording.details("request").get("host", ""))


def other_prefix(case: Case) -> Diagnosis | None:
    """Notice that the cookie came under the name that it has over the other scheme."""
    step = _step_without_cookie(case)
    if step is None:
        return None
    base = without_prefix(case.cookie)
    found = [name for name in case.request.get("cookies", ()) if without_prefix(name) == base and name != case.cookie]
    if not found:
        return None
    return OTHER_PREFIX.at(step, found=found[0], scheme=case.request.get("scheme"), cookie=case.cookie)


def withheld(case: Case) -> Diagnosis | None:
    """Notice why the browser withheld, or dropped, the cookie that the last response set."""
    step, last = _step_without_cookie(case), _last_of(case)
    if step is None or last is None:
        return None
    checks = (fault_of, _set_for_fetch, _other_host, _other_path, _secure_on_loopback)
    return next((found for check in checks if (found := check(last, step)) is not None), None)


def fault_of_own(case: Case, step: int) -> Diagnosis | None:
    """Notice that a browser will not keep the cookie that this very response sets."""
    found = case.session_cookie_set_by(case.recording)
    return None if found is None else fault_of(_Last(case, case.recording, found[1]), step)


def fault_of(last: _Last, step: int) -> Diagnosis | None:
    """Notice that browsers do not keep a cookie, or do not send it over http."""
    cookie, host = last.cookie, last.host
    if cookie["length"] > LONGEST_COOKIE:
        return TOO_LONG_TO_KEEP.at(step, cookie=cookie["cookie"], length=cookie["length"])
    domain = cookie.get("domain")
    if domain and host and not _covers(domain, host):
        return WRONG_DOMAIN.at(step, cookie=cookie["cookie"], domain=domain, host=host)
    if _is_secure_over_http(last) and not _is_loopback(host):
        return SECURE_OVER_HTTP.at(step, cookie=cookie["cookie"])
    return None


def other_site(case: Case) -> Diagnosis | None:
    """Notice a request that another site, or another origin's script, sent without cookies."""
    step, request = _step_without_cookie(case), case.request
    site, samesite = request.get("fetch_site"), case.app.config["SESSION_COOKIE_SAMESITE"] or "Lax"
    if step is None or site not in _OTHER_ORIGINS:
        return None
    if request.get("fetch_dest") == "empty":
        return FETCHED_WITHOUT_CREDENTIALS.at(step)
    if site != "cross-site" or samesite == "None":
        return None
    if request.get("fetch_dest") in {"iframe", "frame", "embed", "object"}:
        return IN_IFRAME.at(step, samesite=samesite)
    is_link = request.get("method") == "GET" and request.get("fetch_dest") in {"document", None}
    if is_link and samesite == "Lax":
        return None  # the cookie would have come
    return FROM_OTHER_SITE.at(step, method=request.get("method"), samesite=samesite)


def never_set(case: Case) -> Diagnosis | None:
    """Notice a login whose response set no session cookie."""
    step = _step_without_cookie(case)
    recording = None if step is None else _last_login_in_vain(case)
    if recording is None:
        return None
    endpoint = recording.details("request").get("endpoint")
    return NEVER_SET.at(step, cookie=case.cookie, ago=case.ago(recording), endpoint=endpoint)


def not_sent(case: Case) -> Diagnosis | None:
    """Notice that a cookie was set, and did not come, for no visible reason."""
    step, last = _step_without_cookie(case), _last_of(case)
    if step is None or last is None:
        return None
    return NOT_SENT.at(step, cookie=last.cookie["cookie"], ago=case.ago(last.recording))


def first_visit(case: Case) -> Diagnosis | None:
    """Notice that no recorded response has set a session cookie."""
    step = _step_without_cookie(case)
    return None if step is None else FIRST_VISIT.at(step)


FIRST_RULES: Final[tuple[Rule, ...]] = (other_prefix, other_site)
RULES: Final[tuple[Rule, ...]] = (
    never_set,
    withheld,
    not_sent,
    first_visit,
)


def _step_without_cookie(case: Case) -> int | None:
    """Return the position of the step that found no session cookie, `None` if one came."""
    found = case.recording.last("session_cookie")
    return found[0] if found is not None and found[1]["outcome"] == "none" else None


def _last_of(case: Case) -> _Last | None:
    """Return the last response that set the cookie; `None` if one deleted it since, and no login is recorded."""
    found, deleted = case.last_response_with_cookie("set"), case.last_response_with_cookie("deleted")
    if found is None or (deleted is not None and deleted[0].number > found[0].number and not _has_login(case)):
        return None
    return _Last(case, *found)


def _has_login(case: Case) -> bool:
    return any(details["outcome"] == "signed in" for _, details in earlier_steps(case, "login"))


def _last_login_in_vain(case: Case) -> Recording | None:
    """Return the last earlier request that signed a user in, if its response set no session cookie."""
    found = case.last_response_with_cookie("set", "deleted")
    for recording, details in earlier_steps(case, "login"):
        if found is not None and recording.number < found[0].number:
            return None
        if details["outcome"] == "signed in":
            written = case.session_cookie_set_by(recording)
            return None if written is not None and written[1]["outcome"] == "set" else recording
    return None


def _set_for_fetch(last: _Last, step: int) -> Diagnosis | None:
    request = last.recording.details("request")
    if request.get("fetch_site") not in _OTHER_ORIGINS or request.get("fetch_dest") != "empty":
        return None
    return SET_FOR_FETCH.at(step, cookie=last.cookie["cookie"])


def _other_host(last: _Last, step: int) -> Diagnosis | None:
    here, there = (one.details("request").get("host", "") for one in (last.case.recording, last.recording))
    domain, name = last.cookie.get("domain"), host_name(here)
    if "" in {here, there} or name == last.host or (domain and _covers(domain, name)):
        return None
    return OTHER_HOST.at(step, cookie=last.cookie["cookie"], there=there, here=here)


def _other_path(last: _Last, step: int) -> Diagnosis | None:
    path, request = last.cookie.get("path", "/"), last.case.request
    route = f"{request.get('root', '')}{request.get('route') or '/'}"
    if path in {"/", route} or route.startswith(f"{path.rstrip('/')}/"):
        return None
    return OTHER_PATH.at(step, cookie=last.cookie["cookie"], path=path, route=route)


def _secure_on_loopback(last: _Last, step: int) -> Diagnosis | None:
    """Notice this last: most browsers send Secure cookies to localhost over http, too."""
    return SECURE_OVER_HTTP.at(step, cookie=last.cookie["cookie"]) if _is_secure_over_http(last) else None


def _is_secure_over_http(last: _Last) -> bool:
    return bool(last.cookie.get("secure")) and last.case.request.get("scheme") in {"http", "ws"}


def _is_loopback(host: str) -> bool:
    return host in _LOOPBACK or host.startswith("127.")


def _covers(domain: str, host: str) -> bool:
    """Tell whether a cookie's domain covers a host (RFC 6265, 5.1.3)."""
    bare = domain.removeprefix(".").lower()
    return host == bare or host.endswith(f".{bare}")
