"""Which web pages may open a WebSocket."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import Forbidden
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from flask_threaded_sockets.exceptions import ConfigurationError
from flask_threaded_sockets.origin import (
    AllowedOrigins,
    OriginRefused,
    check_origin,
    validate_allowed_origins,
)
from flask_threaded_sockets.refusals import Refusal


def environ_of(
    origin: str | None, host: str | None = "app.example", scheme: str = "http"
) -> dict[str, Any]:
    """Build an environ with what the policy looks at."""
    environ: dict[str, Any] = {"wsgi.url_scheme": scheme}
    if host is not None:
        environ["HTTP_HOST"] = host
    if origin is not None:
        environ["HTTP_ORIGIN"] = origin
    return environ


def passes(environ: dict[str, Any], allowed: AllowedOrigins) -> bool:
    """Tell whether a request passes; what else is raised is a failure."""
    try:
        check_origin(environ, allowed)
    except OriginRefused:
        return False
    return True


# id, Origin, Host, scheme of the request, does it pass; RFC 6454 section 5.
SAME_ORIGIN = [
    ("none", None, "app.example", "http", True),
    ("same", "http://app.example", "app.example", "http", True),
    ("same with ports", "http://app.example:5000", "app.example:5000", "http", True),
    ("default port in Origin", "http://app.example:80", "app.example", "http", True),
    ("default port in Host", "http://app.example", "app.example:80", "http", True),
    ("default port of https", "https://app.example", "app.example:443", "https", True),
    ("ws stands for http", "ws://app.example", "app.example", "http", True),
    ("wss stands for https", "wss://app.example:443", "app.example", "https", True),
    ("server says wss", "https://app.example", "app.example", "wss", True),
    ("case", "HTTP://App.Example", "aPP.eXAMPLE", "http", True),
    ("punycode", "http://xn--bcher-kva.example", "xn--bcher-kva.example", "http", True),
    ("ipv4", "http://127.0.0.1:5000", "127.0.0.1:5000", "http", True),
    ("ipv6", "http://[::1]:5000", "[::1]:5000", "http", True),
    ("ipv6 written out", "http://[0:0:0:0:0:0:0:1]", "[::1]", "http", True),
    ("underscore", "http://my_host", "my_host", "http", True),
    ("another host", "http://evil.example", "app.example", "http", False),
    ("another port", "http://app.example:81", "app.example", "http", False),
    ("another scheme", "https://app.example", "app.example", "http", False),
    ("https port on http", "http://app.example", "app.example:443", "http", False),
    ("subdomain", "http://x.app.example", "app.example", "http", False),
    ("ours as a prefix", "http://app.example.evil.example", "app.example", "http", False),
    ("localhost by another name", "http://127.0.0.1", "localhost", "http", False),
    ("another ipv6", "http://[::2]", "[::1]", "http", False),
    ("null", "null", "app.example", "http", False),
    ("empty", "", "app.example", "http", False),
    ("no scheme", "app.example", "app.example", "http", False),
    ("no host", "http://", "", "http", False),
    ("path", "http://app.example/", "app.example", "http", False),
    ("user", "http://app.example@evil.example", "app.example", "http", False),
    ("own user", "http://evil@app.example", "app.example", "http", False),
    ("two header lines", "http://app.example, http://app.example", "app.example", "http", False),
    ("two header lines, one evil", "http://evil.example,http://app.example", "", "http", False),
    ("a list", "http://app.example http://evil.example", "app.example", "http", False),
    ("line feed", "http://app.example\n", "app.example", "http", False),
    ("port too large", "http://app.example:99999", "app.example:99999", "http", False),
    ("port not a number", "http://app.example:x", "app.example:x", "http", False),
    ("bad ipv6", "http://[::1::]", "[::1::]", "http", False),
    ("extension", "chrome-extension://abcdef", "app.example", "http", False),
    ("no Host", "http://app.example", None, "http", False),
    ("null and no Host", "null", None, "http", False),
    ("null and a malformed Host", "null", "a b", "http", False),
]


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "expected"),
    [row[1:] for row in SAME_ORIGIN],
    ids=[row[0] for row in SAME_ORIGIN],
)
def test_by_default_the_same_origin_passes(
    origin: str | None, host: str | None, scheme: str, expected: bool
) -> None:
    assert passes(environ_of(origin, host, scheme), None) is expected


LIST = [
    "https://app.example",
    "wss://Other.example:8443",
    "http://[::1]:3000",
    "capacitor://localhost",
    "file://",
    re.compile(r"https://[a-z]+\.preview\.example"),
]

# id, Origin, does it pass LIST.
LISTED = [
    ("none", None, True),
    ("first", "https://app.example", True),
    ("first with port", "https://app.example:443", True),
    ("second", "https://other.example:8443", True),
    ("ipv6", "http://[0::1]:3000", True),
    ("app shell", "capacitor://localhost", True),
    ("file", "file://", True),
    ("pattern", "https://abc.preview.example", True),
    ("pattern matches the whole", "https://abc.preview.example.evil", False),
    ("pattern from its start", "https://evil.example/https://abc.preview.example", False),
    ("own host is not in the list", "http://app.example", False),
    ("other port", "https://app.example:8443", False),
    ("other scheme", "http://other.example:8443", False),
    ("null is not in the list", "null", False),
    ("two header lines", "https://app.example, https://app.example", False),
]


@pytest.mark.parametrize("container", [list, tuple, set, frozenset])
@pytest.mark.parametrize(
    ("origin", "expected"), [row[1:] for row in LISTED], ids=[row[0] for row in LISTED]
)
def test_listed_origins_pass(container: type, origin: str | None, expected: bool) -> None:
    assert passes(environ_of(origin), container(LIST)) is expected


def test_null_passes_when_listed() -> None:
    assert passes(environ_of("null"), ["null"])
    assert not passes(environ_of("https://app.example"), ["null"])


def test_empty_list_lets_only_requests_without_origin_pass() -> None:
    assert passes(environ_of(None), [])
    assert not passes(environ_of("http://app.example"), [])


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "a, b", ""])
def test_star_lets_everything_pass(origin: str | None) -> None:
    assert passes(environ_of(origin), "*")


def test_callable_is_given_origin_and_environ() -> None:
    seen = []

    def allow(origin: str, environ: dict[str, Any]) -> bool:
        seen.append((origin, environ))
        return origin == "https://good.example"

    good, bad = environ_of("https://good.example"), environ_of("https://bad.example")
    assert passes(good, allow)
    assert not passes(bad, allow)
    assert seen == [("https://good.example", good), ("https://bad.example", bad)]


@pytest.mark.parametrize(
    "origin", [None, "", "https://evil.example, https://ours.example", "https://evil/?.ours"]
)
def test_callable_is_not_asked_about_what_is_no_single_origin(origin: str | None) -> None:
    def allow(origin: str, environ: dict[str, Any]) -> bool:
        raise AssertionError(origin)

    assert passes(environ_of(origin), allow) is (origin is None)


def test_callable_decides_about_null() -> None:
    assert passes(environ_of("null"), lambda origin, environ: origin == "null")


def test_what_a_callable_raises_propagates() -> None:
    def allow(origin: str, environ: dict[str, Any]) -> bool:
        raise LookupError("database")

    with pytest.raises(LookupError, match="database"):
        check_origin(environ_of("https://a.example"), allow)


@pytest.mark.parametrize("wrapped_first", [True, False])
def test_proxy_fix_is_respected(wrapped_first: bool) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        # Whatever holds on to the environ's start sees the change too: it is in place.
        check_origin(outer if wrapped_first else environ, None)
        start_response("200 OK", [])
        return []

    builder = EnvironBuilder(
        base_url="http://10.0.0.7:8000",
        headers={
            "Origin": "https://public.example",
            "X-Forwarded-Host": "public.example",
            "X-Forwarded-Proto": "https",
        },
    )
    outer = builder.get_environ()
    fixed = ProxyFix(application, x_host=1, x_proto=1)
    assert list(fixed(outer, lambda *_: None)) == []
    _, status, _ = run_wsgi_app(fixed, builder.get_environ())
    assert status == "200 OK"
    with pytest.raises(OriginRefused, match=r"'http://10\.0\.0\.7:8000'.*ProxyFix"):
        check_origin(builder.get_environ(), None)


# --- the refusal


def named(origin: str, environ: dict[str, Any]) -> bool:
    return False


# id, allowed, what the log line has.
MESSAGES: list[tuple[str, AllowedOrigins, str]] = [
    ("same origin", None, "the same origin, 'http://app.example'"),
    (
        "list",
        ["https://a.example", "https://b.example"],
        "'https://a.example', 'https://b.example'",
    ),
    ("pattern", [re.compile("https://a.*")], "pattern 'https://a.*'"),
    ("long list", [f"https://a{n}.example" for n in range(7)], "'https://a4.example' or 2 more"),
    ("empty list", [], "none at all"),
    ("callable", named, "one that named accepts"),
]


@pytest.mark.parametrize(
    ("allowed", "expected"), [row[1:] for row in MESSAGES], ids=[row[0] for row in MESSAGES]
)
def test_refusal_says_what_came_what_was_expected_and_the_key(
    allowed: AllowedOrigins, expected: str
) -> None:
    with pytest.raises(OriginRefused) as caught:
        check_origin(environ_of("https://evil.example"), allowed)
    line = str(caught.value)
    assert line.startswith("origin 'https://evil.example' refused, expected ")
    assert line.endswith("; see SOCKETS_ALLOWED_ORIGINS")
    assert expected in line
    assert caught.value.origin == "https://evil.example"
    assert caught.value.expected in line


def test_refusal_is_a_403_that_does_not_tell_the_page_what_passes() -> None:
    with pytest.raises(Refusal) as caught:
        check_origin(environ_of("https://evil.example"), ["https://secret.example"])
    response = Client(caught.value).get("/")
    assert isinstance(caught.value, Forbidden)
    assert response.status_code == 403
    assert response.text == "this origin may not open a websocket here\n"


@given(st.text(max_size=500), st.text(max_size=500))
def test_log_line_is_one_printable_line_of_bounded_length(origin: str, host: str) -> None:
    try:
        check_origin(environ_of(origin, host), None)
    except OriginRefused as refusal:
        line = str(refusal)
        assert line.isprintable()
        assert len(line) < 200 * 2 * len("\\U00010000") + 200


# --- properties

ORIGINS = st.builds(
    "{}://{}{}".format,
    st.sampled_from(["http", "https", "ws", "wss", "HTTPS", "moz-extension"]),
    st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?", fullmatch=True) | st.just("[::1]"),
    st.just("") | st.integers(0, 65535).map(":{}".format),
)


@given(ORIGINS)
def test_every_origin_passes_a_list_that_has_it(origin: str) -> None:
    validate_allowed_origins([origin])
    assert passes(environ_of(origin), [origin])
    assert passes(environ_of(origin.upper()), [origin.lower()])
    assert not passes(environ_of(origin + ".evil"), [origin])


@given(st.text(), st.text(), st.sampled_from(["http", "https", "ws"]))
def test_any_origin_and_host_pass_or_are_refused(origin: str, host: str, scheme: str) -> None:
    for allowed in (None, LIST, ["null"], lambda origin, environ: True):
        passes(environ_of(origin, host, scheme), allowed)


# --- set-up


@pytest.mark.parametrize(
    "value", [None, "*", [], LIST, tuple(LIST[:3]), {"https://a.example"}, ["null"], named]
)
def test_usable_value_is_accepted_at_set_up(value: object) -> None:
    validate_allowed_origins(value)


# id, value, what the message has beside the key.
BAD_VALUES: list[tuple[str, object, str]] = [
    ("a string", "https://app.example", "a list of origins"),
    ("empty string", "", "a list of origins"),
    ("true", True, "a list of origins"),
    ("bytes", b"https://app.example", "a list of origins"),
    ("mapping", {"https://app.example": 1}, "a list of origins"),
    ("star in the list", ["*"], "to '*' itself"),
    ("wildcard", ["https://*.example.com"], "compiled pattern or a callable"),
    ("trailing slash", ["https://app.example/"], "without path or trailing slash"),
    ("path", ["https://app.example/x"], "without path or trailing slash"),
    ("no scheme", ["app.example"], "write 'https://app.example.com'"),
    ("host and port", ["localhost:5000"], "write 'https://app.example.com'"),
    ("idna", ["https://bücher.example"], "punycode"),
    ("port", ["https://app.example:70000"], "without path"),
    ("none in the list", [None], "which is not an origin"),
    ("bytes pattern", [re.compile(b"x")], "which is not an origin"),
    ("one bad among good", ["https://a.example", "b"], "has 'b'"),
]


@pytest.mark.parametrize(
    ("value", "message"), [row[1:] for row in BAD_VALUES], ids=[row[0] for row in BAD_VALUES]
)
def test_impossible_value_raises_at_set_up(value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SOCKETS_ALLOWED_ORIGINS ") as caught:
        validate_allowed_origins(value)
    assert message in str(caught.value)


@given(st.lists(st.text() | ORIGINS, max_size=3))
def test_validation_agrees_with_the_check(value: list[str]) -> None:
    try:
        validate_allowed_origins(value)
    except ConfigurationError:
        return
    for entry in value:
        assert passes(environ_of(entry), value)
