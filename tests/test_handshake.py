"""The opening handshake's request, its refusals and the head of the 101."""

from __future__ import annotations

import base64
import logging
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.validate import validator

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.headers import parse_connection
from websockets.protocol import OPEN
from websockets.uri import parse_uri
from websockets.utils import accept_key as accept_key_of_websockets
from werkzeug.exceptions import BadRequest, MethodNotAllowed
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request

from flask_threaded_sockets.handshake import (
    accept_key,
    check_upgrade,
    is_token,
    is_upgrade,
    request_headers,
    request_target,
    response_head,
    split_list,
)
from flask_threaded_sockets.refusals import (
    BadHandshake,
    HTTPVersionRefused,
    MethodRefused,
    Refusal,
    UpgradeRequired,
    VersionRefused,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
LATIN_1 = st.text(st.characters(max_codepoint=255))


def environ_of(**changes: str | None) -> dict[str, Any]:
    """Build a correct handshake's environ, with changes; ``None`` deletes a key."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "PATH_INFO": "/chat",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "server.example",
        "HTTP_UPGRADE": "websocket",
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_SEC_WEBSOCKET_KEY": KEY,
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
    } | changes
    return {name: value for name, value in environ.items() if value is not None}


def environ_of_request(data: bytes) -> dict[str, Any]:
    """Do what a WSGI server does with a request's head."""
    request_line, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, protocol = request_line.split(" ")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SERVER_PROTOCOL": protocol,
        "PATH_INFO": target,
        "wsgi.url_scheme": "http",
    }
    for line in lines:
        name, value = line.split(":", 1)
        key = "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value.strip()}" if key in environ else value.strip()
    return environ


# id, Upgrade, Connection, is it one; RFC 6455 section 4.2.1 items 3 and 4.
UPGRADES = [
    ("plain", "websocket", "Upgrade", True),
    ("browser's case", "WebSocket", "upgrade", True),
    ("Firefox", "websocket", "keep-alive, Upgrade", True),
    ("no space behind the comma", "websocket", "keep-alive,Upgrade", True),
    ("tabs and empty elements", "\twebsocket ,", ",, \tUPGRADE\t,", True),
    ("another protocol too", "h2c, websocket", "Upgrade, HTTP2-Settings", True),
    ("ordinary request", None, "keep-alive", False),
    ("no Connection", "websocket", None, False),
    ("Connection without upgrade", "websocket", "keep-alive", False),
    ("another protocol", "h2c", "Upgrade", False),
    ("upgrade inside a token", "websocket", "no-upgrade", False),
    ("websocket inside a token", "websockets", "Upgrade", False),
    ("two words are not a list", "websocket", "keep-alive Upgrade", False),
    ("empty", "", "", False),
]


@pytest.mark.parametrize(
    ("upgrade", "connection", "expected"),
    [row[1:] for row in UPGRADES],
    ids=[row[0] for row in UPGRADES],
)
def test_upgrade_and_connection_are_read_as_token_lists(
    upgrade: str | None, connection: str | None, expected: bool
) -> None:
    environ = environ_of(HTTP_UPGRADE=upgrade, HTTP_CONNECTION=connection)
    assert is_upgrade(environ) is expected
    if expected:
        assert check_upgrade(environ) == KEY
    else:
        with pytest.raises(UpgradeRequired):
            check_upgrade(environ)


def test_environ_without_any_header_is_no_upgrade() -> None:
    assert not is_upgrade({})


# id, changes to a correct handshake, refusal, status, a header, rfc.
REFUSED: list[tuple[str, dict[str, str | None], type[Refusal], int, tuple[str, str], str]] = [
    ("HEAD", {"REQUEST_METHOD": "HEAD"}, MethodRefused, 405, ("Allow", "GET"), "4.2.1"),
    ("POST", {"REQUEST_METHOD": "POST"}, MethodRefused, 405, ("Allow", "GET"), "4.2.1"),
    ("small get", {"REQUEST_METHOD": "get"}, MethodRefused, 405, ("Allow", "GET"), "9110 9.1"),
    ("no method", {"REQUEST_METHOD": None}, MethodRefused, 405, ("Allow", "GET"), "4.2.1"),
    ("HTTP/1.0", {"SERVER_PROTOCOL": "HTTP/1.0"}, BadHandshake, 400, ("", ""), "4.2.1 item 1"),
    ("HTTP/0.9", {"SERVER_PROTOCOL": "HTTP/0.9"}, HTTPVersionRefused, 505, ("", ""), "4.2.1"),
    ("HTTP/2", {"SERVER_PROTOCOL": "HTTP/2"}, HTTPVersionRefused, 505, ("", ""), "8441 3"),
    ("HTTP/2.0", {"SERVER_PROTOCOL": "HTTP/2.0"}, HTTPVersionRefused, 505, ("", ""), "8441 3"),
    ("no protocol", {"SERVER_PROTOCOL": None}, HTTPVersionRefused, 505, ("", ""), "4.2.1"),
    (
        "plain GET",
        {"HTTP_UPGRADE": None, "HTTP_CONNECTION": None},
        UpgradeRequired,
        426,
        ("Upgrade", "websocket"),
        "9110 15.5.22",
    ),
    ("no Host", {"HTTP_HOST": None}, BadHandshake, 400, ("", ""), "4.2.1 item 2"),
    ("empty Host", {"HTTP_HOST": ""}, BadHandshake, 400, ("", ""), "4.2.1 item 2"),
    *(
        (
            f"version {version}",
            {"HTTP_SEC_WEBSOCKET_VERSION": version},
            VersionRefused,
            426,
            ("Sec-WebSocket-Version", "13"),
            "4.4",
        )
        for version in (None, "", "8", "0", "14", "013", "13, 8", "13,13", "thirteen")
    ),
    *(
        (
            f"key {key}",
            {"HTTP_SEC_WEBSOCKET_KEY": key},
            BadHandshake,
            400,
            ("", ""),
            "4.2.1 item 5",
        )
        for key in (
            None,
            "",
            "zzz",
            base64.b64encode(bytes(15)).decode(),
            base64.b64encode(bytes(17)).decode(),
            base64.b64encode(bytes(18)).decode(),
            base64.urlsafe_b64encode(b"\xff" * 16).decode(),
            KEY.rstrip("="),
            f"{KEY},{KEY}",
            f"{KEY}\n",
            f"\x0b{KEY}",
        )
    ),
    ("body", {"CONTENT_LENGTH": "5"}, BadHandshake, 400, ("", ""), "9110 9.3.1"),
    ("odd length", {"CONTENT_LENGTH": "x"}, BadHandshake, 400, ("", ""), "9110 8.6"),
    ("chunked", {"HTTP_TRANSFER_ENCODING": "chunked"}, BadHandshake, 400, ("", ""), "9110 9.3.1"),
]


@pytest.mark.parametrize(
    ("changes", "refusal", "status", "header", "rfc"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
def test_bad_handshake_is_refused_with_its_status(
    changes: dict[str, str | None],
    refusal: type[Refusal],
    status: int,
    header: tuple[str, str],
    rfc: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    environ = environ_of(**changes)
    with pytest.raises(Refusal) as caught:
        check_upgrade(environ)
    assert type(caught.value) is refusal
    response = caught.value.get_response(environ)
    assert caught.value.code == response.status_code == status
    if header[0]:
        assert response.headers[header[0]] == header[1]
    assert response.mimetype == "text/plain"
    assert int(response.headers["Content-Length"]) == len(response.get_data())
    sentence = response.get_data(as_text=True)
    assert sentence[0].islower()
    assert sentence.endswith("\n")
    assert sentence.count("\n") == 1
    assert not sentence.endswith(".\n")
    assert caplog.records == []


# id, changes, why it passes.
ACCEPTED: list[tuple[str, dict[str, str | None]]] = [
    ("correct", {}),
    ("spaces around the key", {"HTTP_SEC_WEBSOCKET_KEY": f" {KEY}\t"}),
    ("spaces around the version", {"HTTP_SEC_WEBSOCKET_VERSION": " 13 "}),
    ("empty content length", {"CONTENT_LENGTH": ""}),
    ("no content", {"CONTENT_LENGTH": "0"}),
    ("a minor version to come", {"SERVER_PROTOCOL": "HTTP/1.2"}),
    ("unused bits in the key's last digit", {"HTTP_SEC_WEBSOCKET_KEY": KEY[:21] + "R=="}),
]


@pytest.mark.parametrize("changes", [row[1] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_correct_handshake_gives_its_key(changes: dict[str, str | None]) -> None:
    expected = changes.get("HTTP_SEC_WEBSOCKET_KEY") or KEY
    assert check_upgrade(environ_of(**changes)) == expected.strip()


# The first failing check decides: each row breaks one rule more than the next.
ORDER: list[tuple[str, str | None, type[Refusal]]] = [
    ("REQUEST_METHOD", "POST", MethodRefused),
    ("SERVER_PROTOCOL", "HTTP/2", HTTPVersionRefused),
    ("HTTP_UPGRADE", None, UpgradeRequired),
    ("HTTP_HOST", None, BadHandshake),
    ("HTTP_SEC_WEBSOCKET_VERSION", "8", VersionRefused),
    ("HTTP_SEC_WEBSOCKET_KEY", None, BadHandshake),
    ("CONTENT_LENGTH", "1", BadHandshake),
]


@pytest.mark.parametrize("first", range(len(ORDER)), ids=[row[0] for row in ORDER])
def test_checks_are_made_in_the_documented_order(first: int) -> None:
    environ = environ_of(**{name: value for name, value, _ in ORDER[first:]})
    with pytest.raises(ORDER[first][2]) as together:
        check_upgrade(environ)
    with pytest.raises(ORDER[first][2]) as alone:
        check_upgrade(environ_of(**{ORDER[first][0]: ORDER[first][1]}))
    assert together.value.description == alone.value.description


def test_http_1_0_passes_where_the_server_always_says_so() -> None:
    environ = environ_of(SERVER_PROTOCOL="HTTP/1.0")
    assert check_upgrade(environ, trust_protocol=False) == KEY


def test_http_2_is_refused_even_where_the_protocol_is_not_trusted() -> None:
    with pytest.raises(HTTPVersionRefused):
        check_upgrade(environ_of(SERVER_PROTOCOL="HTTP/2"), trust_protocol=False)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: LATIN_1 | st.just(value)
            for name, value in {**environ_of(), "CONTENT_LENGTH": "0"}.items()
        },
    )
)
def test_any_environ_gives_a_key_of_16_bytes_or_a_refusal(environ: dict[str, Any]) -> None:
    try:
        key = check_upgrade(environ)
    except Refusal as refusal:
        answer = refusal.get_response(environ)
    else:
        assert len(base64.b64decode(key, validate=True)) == 16
        return
    assert answer.status_code in (400, 405, 426, 505)


@given(st.binary(min_size=16, max_size=16))
def test_every_key_of_16_bytes_passes(nonce: bytes) -> None:
    key = base64.b64encode(nonce).decode()
    assert check_upgrade(environ_of(HTTP_SEC_WEBSOCKET_KEY=key)) == key


# --- refusals as responses


def test_426_names_the_protocol_to_upgrade_to() -> None:
    headers = UpgradeRequired().get_response().headers
    assert headers["Upgrade"] == "websocket"
    assert parse_connection(headers["Connection"]) == ["Upgrade"]
    assert "Sec-WebSocket-Version" not in headers


def test_426_for_a_version_is_a_correct_426_too() -> None:
    assert VersionRefused().get_response().headers["Upgrade"] == "websocket"


def test_refusal_is_a_valid_wsgi_application() -> None:
    # wsgiref's validator forbids nothing but what PEP 3333 does.
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        return BadHandshake("no")(environ, start_response)

    environ = EnvironBuilder("/").get_environ()
    body, status, headers = run_wsgi_app(validator(application), environ, buffered=True)
    assert (b"".join(body), status) == (b"no\n", "400 BAD REQUEST")
    assert headers["Content-Length"] == "3"


def test_answer_to_head_has_no_body() -> None:
    environ = EnvironBuilder("/", method="HEAD").get_environ()
    body, status, headers = run_wsgi_app(MethodRefused(), environ, buffered=True)
    assert b"".join(body) == b""
    assert status == "405 METHOD NOT ALLOWED"
    assert headers["Allow"] == "GET"


@pytest.mark.parametrize("server", ["waitress", "waitress/3.0.2", "WSGIServer/0.2"])
def test_hop_by_hop_headers_are_spared_servers_that_die_of_them(server: str) -> None:
    headers = VersionRefused().get_headers({"SERVER_SOFTWARE": server})
    assert {name for name, _ in headers} == {"Content-Type", "Sec-WebSocket-Version"}


@pytest.mark.parametrize("server", ["gunicorn/27.0.1", "Werkzeug/3.1.9", "gevent/26.9 Python/3.13"])
def test_hop_by_hop_headers_are_sent_everywhere_else(server: str) -> None:
    assert ("Connection", "Upgrade") in VersionRefused().get_headers({"SERVER_SOFTWARE": server})


def test_refusal_takes_further_headers() -> None:
    response = MethodRefused("not so", headers=[("Retry-After", "5")]).get_response()
    assert response.get_data() == b"not so\n"
    assert (response.headers["Retry-After"], response.headers["Allow"]) == ("5", "GET")


# id, what to raise, what a handler is registered for.
HANDLERS = [
    ("400 by number", BadHandshake, 400),
    ("400 by class", BadHandshake, BadRequest),
    ("405 by number", MethodRefused, 405),
    ("405 by class", MethodRefused, MethodNotAllowed),
    ("505 by number", HTTPVersionRefused, 505),
    ("any refusal", UpgradeRequired, Refusal),
    ("any refusal, a 400 too", BadHandshake, Refusal),
    ("426 for a version", VersionRefused, UpgradeRequired),
]


@pytest.mark.parametrize(
    ("refusal", "registered"), [row[1:] for row in HANDLERS], ids=[row[0] for row in HANDLERS]
)
def test_flask_error_handler_finds_the_refusal(
    refusal: type[Refusal], registered: int | type[Exception]
) -> None:
    app = flask.Flask(__name__)

    @app.errorhandler(registered)
    def handle(error: Refusal) -> tuple[dict[str, Any], int]:
        assert error.code is not None
        return {"status": error.code, "error": error.description}, error.code

    @app.get("/")
    def view() -> str:
        raise refusal

    response = app.test_client().get("/")
    assert response.status_code == refusal.code
    assert response.get_json(silent=True) == {"status": refusal.code, "error": refusal.description}


def test_flask_without_handlers_answers_with_the_refusal_itself() -> None:
    app = flask.Flask(__name__)

    @app.get("/")
    def view() -> str:
        raise UpgradeRequired

    response = app.test_client().get("/")
    assert response.status == "426 UPGRADE REQUIRED"
    assert response.text == f"{UpgradeRequired.description}\n"
    assert response.headers["Upgrade"] == "websocket"


def test_refusal_needs_no_flask() -> None:
    response = Client(BadHandshake("no")).get("/")
    assert (response.status_code, response.text) == (400, "no\n")


def test_refusal_itself_has_no_status_and_is_not_raised() -> None:
    with pytest.raises(TypeError, match="one of the subclasses"):
        Refusal("no")


# --- the 101


def test_accept_key_is_that_of_the_rfc() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3


@given(st.binary(min_size=16, max_size=16).map(lambda nonce: base64.b64encode(nonce).decode()))
def test_accept_key_agrees_with_websockets(key: str) -> None:
    assert accept_key(key) == accept_key_of_websockets(key)


def test_head_of_the_101_is_that_of_the_rfc() -> None:
    assert response_head(KEY, subprotocol="chat") == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"\r\n"
    )


def test_head_has_no_optional_header_unless_asked() -> None:
    head = response_head(KEY)
    assert b"Protocol:" not in head
    assert b"Extensions:" not in head


def test_head_carries_several_headers_of_a_name_in_latin_1() -> None:
    head = response_head(KEY, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=ü;\tPath=/")])
    assert head.endswith(b"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=\xfc;\tPath=/\r\n\r\n")


# id, arguments, what the message has.
BAD_HEADS: list[tuple[str, dict[str, Any], str]] = [
    ("CRLF in a value", {"headers": [("X", "a\r\nSet-Cookie: b")]}, "control character"),
    ("LF in a value", {"headers": [("X", "a\nb")]}, "control character"),
    ("CR in a value", {"headers": [("X", "a\rb")]}, "control character"),
    ("LF at the end of a value", {"headers": [("X", "a\n")]}, "control character"),
    ("NUL in a value", {"headers": [("X", "a\0b")]}, "control character"),
    ("DEL in a value", {"headers": [("X", "a\x7fb")]}, "control character"),
    ("beyond latin-1", {"headers": [("X", "\u20ac")]}, "beyond latin-1"),
    ("CRLF in a name", {"headers": [("X: a\r\nY", "b")]}, "is not a token"),
    ("colon in a name", {"headers": [("X:", "b")]}, "is not a token"),
    ("space in a name", {"headers": [("X ", "b")]}, "is not a token"),
    ("no name", {"headers": [("", "b")]}, "is not a token"),
    ("subprotocol", {"subprotocol": "a\r\nX: b"}, "is not a token"),
    ("empty subprotocol", {"subprotocol": ""}, "is not a token"),
    ("two subprotocols", {"subprotocol": "a, b"}, "is not a token"),
    ("extensions", {"deflate_header": "a\r\nX: b"}, "control character"),
    *(
        (f"owned {name}", {"headers": [(name, "a")]}, "opening handshake itself")
        for name in (
            "Upgrade",
            "connection",
            "CONTENT-LENGTH",
            "Transfer-Encoding",
            "Sec-WebSocket-Accept",
            "sec-websocket-protocol",
            "Sec-WebSocket-Whatever",
        )
    ),
]


@pytest.mark.parametrize(
    ("arguments", "message"), [row[1:] for row in BAD_HEADS], ids=[row[0] for row in BAD_HEADS]
)
def test_head_refuses_headers_that_are_not_the_apps_to_set(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        response_head(KEY, **arguments)


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=4))
def test_no_header_ever_adds_a_line(headers: list[tuple[str, str]]) -> None:
    try:
        head = response_head(KEY, headers=headers)
    except ValueError:
        return
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    assert lines[4:] == [f"{name}: {value}" for name, value in headers]


def test_websockets_client_takes_our_head() -> None:
    client = ClientProtocol(parse_uri("ws://server.example/chat"), subprotocols=["superchat"])
    client.send_request(client.connect())
    key = check_upgrade(environ_of_request(b"".join(client.data_to_send())))
    client.receive_data(response_head(key, subprotocol="superchat"))
    assert client.handshake_exc is None
    assert client.state is OPEN
    assert client.subprotocol == "superchat"


def test_wsproto_client_takes_our_head() -> None:
    client = WSConnection(ConnectionType.CLIENT)
    request = client.send(Request(host="server.example", target="/chat", subprotocols=["chat"]))
    key = check_upgrade(environ_of_request(request))
    client.receive_data(response_head(key, subprotocol="chat", headers=[("X-A", "b")]))
    (event,) = client.events()
    assert isinstance(event, AcceptConnection)
    assert event.subprotocol == "chat"
    assert (b"x-a", b"b") in event.extra_headers


# --- what a backend is told of the request


def test_request_headers_have_title_case_and_no_other_environ() -> None:
    environ = environ_of(CONTENT_TYPE="text/plain", CONTENT_LENGTH="", HTTP_X_REQUEST_ID="7")
    headers = request_headers(environ)
    assert ("X-Request-Id", "7") in headers
    assert ("Sec-Websocket-Key", KEY) in headers
    assert ("Content-Type", "text/plain") in headers
    assert {name for name, _ in headers} == {
        "Host",
        "Upgrade",
        "Connection",
        "Sec-Websocket-Key",
        "Sec-Websocket-Version",
        "Content-Type",
        "X-Request-Id",
    }


# id, SCRIPT_NAME, PATH_INFO, QUERY_STRING, target; RFC 9112 section 3.2.1.
TARGETS = [
    ("path", "", "/chat", "", "/chat"),
    ("empty path", "", "", "", "/"),
    ("mounted", "/app", "/chat", "", "/app/chat"),
    ("query", "", "/chat", "a=1&b=%20c", "/chat?a=1&b=%20c"),
    ("query alone", "", "", "a", "/?a"),
    ("space and percent", "", "/a b%20", "", "/a%20b%2520"),
    ("question mark in the path", "", "/a?b", "", "/a%3Fb"),
    ("utf-8 as WSGI has it", "", "/\xc3\xbc", "", "/%C3%BC"),
    ("marks that need no quoting", "", "/a:b@c;d=e,f~g", "", "/a:b@c;d=e,f~g"),
    ("raw bytes in the query", "", "/", "q=\xfc \r\n", "/?q=%FC%20%0D%0A"),
]


@pytest.mark.parametrize(
    ("script", "path", "query", "target"),
    [row[1:] for row in TARGETS],
    ids=[row[0] for row in TARGETS],
)
def test_request_target_is_quoted_anew(script: str, path: str, query: str, target: str) -> None:
    environ = {"SCRIPT_NAME": script, "PATH_INFO": path, "QUERY_STRING": query}
    assert request_target(environ) == target


@given(st.text(), st.text())
def test_request_target_is_always_printable_ascii(path: str, query: str) -> None:
    target = request_target({"PATH_INFO": path, "QUERY_STRING": query})
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target


@given(LATIN_1)
def test_unquoting_the_request_target_gives_the_path(path: str) -> None:
    target = request_target({"PATH_INFO": f"/{path}"})
    assert unquote_to_bytes(target).decode("latin-1") == f"/{path}"


# --- lists and tokens


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)))
def test_split_list_undoes_a_join(elements: list[str]) -> None:
    assert split_list(", ".join(elements)) == elements
    assert split_list(" ,\t".join(["", *elements, ""])) == elements


@given(st.text(max_size=5))
def test_token_is_made_of_token_characters_alone(text: str) -> None:
    allowed = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert is_token(text) == (text != "" and all(character in allowed for character in text))
