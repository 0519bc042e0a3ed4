"""Requests that are no opening handshake (RFC 6455 section 4.2.1), garbage, and half requests."""

from __future__ import annotations

import errno
import socket
import time

import flask
import pytest
from live import HOSTS, app_of, eventually, in_thread
from peer import HANDSHAKE, TEXT, Frame, request

from flask_threaded_sockets import Sockets

both_hosts = pytest.mark.parametrize("host", HOSTS, indirect=True)

VERSION = {"sec-websocket-version": "13", "upgrade": "websocket"}
UPGRADE = {"upgrade": "websocket"}


def changed(**replace):
    return request(replace={name.replace("_", "-"): value for name, value in replace.items()})


# id, request, status, headers of the response.
REFUSED = [
    ("no key", changed(Sec_WebSocket_Key=None), 400, {}),
    ("empty key", changed(Sec_WebSocket_Key=""), 400, {}),
    ("key that is no base64", changed(Sec_WebSocket_Key="zzz"), 400, {}),
    ("key of 15 bytes", changed(Sec_WebSocket_Key="AQIDBAUGBwgJCgsMDQ4P"), 400, {}),
    ("key of 17 bytes", changed(Sec_WebSocket_Key="AQIDBAUGBwgJCgsMDQ4PEBE="), 400, {}),
    ("two keys", request(headers=[HANDSHAKE[2]]), 400, {}),
    ("no version", changed(Sec_WebSocket_Version=None), 426, VERSION),
    ("version 8", changed(Sec_WebSocket_Version="8"), 426, VERSION),
    ("version 14", changed(Sec_WebSocket_Version="14"), 426, VERSION),
    ("version 013", changed(Sec_WebSocket_Version="013"), 426, VERSION),
    ("two versions", changed(Sec_WebSocket_Version="13, 8"), 426, VERSION),
    (
        "no version and no key",
        changed(Sec_WebSocket_Version=None, Sec_WebSocket_Key=None),
        426,
        VERSION,
    ),
    ("plain GET", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426, UPGRADE),
    ("no Upgrade", changed(Upgrade=None), 426, UPGRADE),
    ("Upgrade to something else", changed(Upgrade="h2c"), 426, UPGRADE),
    ("no Connection", changed(Connection=None), 426, UPGRADE),
    ("Connection without upgrade", changed(Connection="keep-alive"), 426, UPGRADE),
    ("no Host", changed(Host=None), 400, {}),
    ("HTTP/1.0", request(version="HTTP/1.0"), 400, {}),
    (
        "an extension that is no token",
        request(headers=[("Sec-WebSocket-Extensions", "permessage-deflate; =10")]),
        400,
        {},
    ),
    ("a body", request(headers=[("Content-Length", "5")]) + b"hello", 400, {}),
    ("a chunked body", request(headers=[("Transfer-Encoding", "chunked")]) + b"0\r\n\r\n", 400, {}),
    ("POST", request(method="POST"), 405, {}),
    ("PUT", request(method="PUT"), 405, {}),
    ("OPTIONS", request(method="OPTIONS"), 405, {}),
    ("HEAD", request(method="HEAD"), 405, {}),
    ("unknown path", request("/nowhere"), 404, {}),
    ("unknown path, plain GET", b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404, {}),
]


@both_hosts
@pytest.mark.parametrize(
    ("data", "status", "headers"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refused(serve, data, status, headers):
    started = []
    live = serve(started.append)
    head, peer = live.ask(data)
    assert head.status == status
    assert headers.items() <= head.headers.items()
    body = peer.to_end()
    assert int(head.headers["content-length"]) == len(body) or data.startswith(b"HEAD")
    assert b"Traceback" not in body
    assert started == []


# id, request.
ACCEPTED = [
    ("Firefox", changed(Connection="keep-alive, Upgrade")),
    ("another case", changed(Upgrade="WebSocket", Connection="upgrade")),
    ("a list", changed(Upgrade="h2c, websocket", Connection="HTTP2-Settings,Upgrade")),
    ("spaces around", changed(Sec_WebSocket_Key="  dGhlIHNhbXBsZSBub25jZQ==  ")),
    ("empty body", request(headers=[("Content-Length", "0")])),
    ("a query", request("/?a=%ff&b")),
    ("many headers", request(headers=[(f"X-{n}", "x" * 500) for n in range(80)])),
    ("a long cookie", request(headers=[("Cookie", "x" * 30_000)])),
]


@both_hosts
@pytest.mark.parametrize("data", [row[1] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_accepted(serve, data):
    live = serve(lambda ws: ws.send("open"))
    head, peer = live.ask(data)
    assert head.status == 101
    assert head.headers["upgrade"] == "websocket"
    assert head.headers["connection"] == "Upgrade"
    assert peer.frame() == Frame(TEXT, b"open")


def test_101_has_the_headers_of_the_handshake_and_no_others(serve):
    head, _ = serve(lambda ws: None).ask(request())
    assert set(head.headers) == {"upgrade", "connection", "sec-websocket-accept"}


@both_hosts
def test_handshake_byte_by_byte(serve):
    live = serve(lambda ws: ws.send("open"))
    peer = live.connect()
    peer.send_bytewise(request())
    assert peer.head().status == 101
    assert peer.frame() == Frame(TEXT, b"open")


# Paths


@both_hosts
def test_slash_at_the_end_does_not_matter_and_nothing_is_redirected(serve):
    app = flask.Flask("slashes")
    sockets = Sockets(app)
    sockets.route("/x/", endpoint="x")(lambda ws: ws.send("x"))
    sockets.route("/y", endpoint="y")(lambda ws: ws.send("y"))
    live = serve(app=app)
    # path, what may be the answer
    for path, expected in (("/x", [101]), ("/x/", [101]), ("/y", [101]), ("/x//", [101, 404])):
        head, _ = live.ask(request(path))
        assert head.status in expected, path


@both_hosts
def test_upgrade_for_a_path_of_http_only_gets_that_page(serve):
    app = app_of(lambda ws: None)
    app.add_url_rule("/page", "page", lambda: "page")
    live = serve(app=app)
    head, peer = live.ask(request("/page"))
    assert (head.status, peer.to_end()) == (200, b"page")


@both_hosts
def test_same_path_is_a_page_and_a_websocket(serve):
    app = app_of(lambda ws: ws.send("socket"))
    app.add_url_rule("/", "page", lambda: "page")
    live = serve(app=app)
    assert live.get("/")[1] == b"page"
    assert live.open("/").frame() == Frame(TEXT, b"socket")
    head, _ = live.ask(request(replace={"Connection": None}))
    assert head.status == 200


def test_redirect_of_a_page_is_left_alone(serve):
    app = app_of(lambda ws: None)
    app.add_url_rule("/page/", "page", lambda: "page")
    live = serve(app=app)
    assert live.get("/page")[0].status == 308
    head, _ = live.ask(request("/page"))
    assert head.status == 404


# On the port, what is not HTTP at all

# id, bytes.
GARBAGE = [
    ("zeros", bytes(100)),
    ("one line", b"hello\r\n"),
    ("empty lines", b"\r\n\r\n\r\n"),
    ("TLS", bytes.fromhex("16030100a5010000a10303") + bytes(160)),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("HTTP/9.9", b"GET / HTTP/9.9\r\n\r\n"),
    ("no version", b"GET /\r\n\r\n"),
    ("a header without a colon", b"GET / HTTP/1.1\r\nnonsense\r\n\r\n"),
    ("a method that is none", b"\xff\xfe / HTTP/1.1\r\n\r\n"),
    ("a long request line", b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n"),
    ("a long header", b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"),
    ("too many headers", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
    ("a negative length", request(headers=[("Content-Length", "-1")])),
    ("a length that is none", request(headers=[("Content-Length", "x")])),
    ("frames", bytes.fromhex("818537fa213d7f9f4d5158") * 10),
]


@pytest.mark.parametrize("data", [row[1] for row in GARBAGE], ids=[row[0] for row in GARBAGE])
def test_garbage_is_nobodys_error(serve, data):
    live = serve(lambda ws: None)
    peer = live.connect()
    peer.send(data)
    try:
        peer.half_close()
        answer = peer.to_end()
    except OSError as error:  # not all of it was read
        assert error.errno in (errno.ECONNRESET, errno.ENOTCONN)
        answer = b""
    assert b" 101 " not in answer
    assert b"Traceback" not in answer
    assert live.get("/")[0].status == 426


def probe(live, said):
    for number in range(100):
        peer = live.connect()
        peer.send(said)
        peer.reset() if number % 2 else peer.close()
    assert live.get("/")[0].status == 426


@both_hosts
def test_port_probes_are_nobodys_error(serve):
    probe(serve(lambda ws: None), b"")


def test_port_probes_that_talk_are_nobodys_error(serve):
    # Werkzeug's own server logs these itself, at ERROR.
    probe(serve(lambda ws: None), b"GET / garbage\r\n\r\n")


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_peer_that_leaves_within_its_request_is_nobodys_error(serve, ending):
    live = serve(lambda ws: ws.receive())
    data = request()
    for cut in range(0, len(data), 7):
        peer = live.connect()
        peer.send(data[:cut])
        getattr(peer, ending)()
    assert live.get("/")[0].status == 426


# A peer that takes its time, on our own server


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost"], ids=["nothing", "a part"])
def test_head_that_does_not_come_is_not_waited_for_longer_than_head_timeout(serve, sent):
    live = serve(lambda ws: None)
    live.server.head_timeout = 0.3
    peer = live.connect()
    peer.send(sent)
    began = time.monotonic()
    assert peer.to_end() == b""
    assert time.monotonic() - began < 10


def test_head_that_trickles_in_is_not_waited_for_either(serve):
    live = serve(lambda ws: None)
    live.server.head_timeout = 0.5
    peer = live.connect()

    def trickle():
        began = time.monotonic()
        try:
            for byte in request(headers=[("X", "x" * 10_000)]):
                peer.send(bytes([byte]))
                time.sleep(0.01)  # the client's own slowness
        except OSError:
            return time.monotonic() - began

    assert in_thread(trickle).result() < 15


def test_head_timeout_ends_with_the_head(serve):
    live = serve(lambda ws: ws.send(ws.receive()))
    live.server.head_timeout = 1  # within which this machine has to send a head
    peer = live.open()
    assert peer.silent(1.5)
    peer.text("late")
    assert peer.frame() == Frame(TEXT, b"late")


def test_stalled_peers_keep_nobody_out(serve):
    live = serve(lambda ws: ws.send("open"))
    for _ in range(20):
        live.connect().send(b"GET / HT")
    assert live.open().frame() == Frame(TEXT, b"open")


def test_peer_that_is_gone_before_the_101_leaves_nothing(serve):
    app = app_of(lambda ws: ws.receive())
    entered = []

    @app.before_request
    def wait_for_the_reset():
        sock = flask.request.environ["werkzeug.socket"]
        entered.append(sock)
        eventually(lambda: sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != b"\x01")

    live = serve(app=app)
    peer = live.connect()
    peer.send(request())
    eventually(lambda: entered)
    peer.reset()
