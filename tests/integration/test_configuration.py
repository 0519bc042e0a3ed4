"""When the configuration is read, what is refused at set-up; origins and compression."""

from __future__ import annotations

import re
import zlib

import flask
import pytest
from live import HOSTS, app_of
from peer import BINARY, CLOSE, TEXT, Frame, bulk, request
from werkzeug.middleware.proxy_fix import ProxyFix
from wire import frame, wire

from flask_threaded_sockets import ConfigurationError, Sockets, ThreadedWebsocketServer
from flask_threaded_sockets.backend import Feature

both_hosts = pytest.mark.parametrize("host", HOSTS, indirect=True)


def echo(ws):
    for message in ws:
        ws.send(message)


# When

# key, an impossible value; each key once.
IMPOSSIBLE = [
    ("SOCKETS_BACKEND", ""),
    ("SOCKETS_MAX_CONNECTIONS", 0),
    ("SOCKETS_HANDLE_SIGNALS", "yes"),
    ("SOCKETS_ALLOWED_ORIGINS", "https://a.example"),
    ("SOCKETS_MAX_MESSAGE_SIZE", -1),
    ("SOCKETS_PING_INTERVAL", -1),
    ("SOCKETS_PING_TIMEOUT", 0),
    ("SOCKETS_CLOSE_TIMEOUT", None),
    ("SOCKETS_SEND_TIMEOUT", "30"),
    ("SOCKETS_MAX_QUEUE", 0),
    ("SOCKETS_COMPRESSION", 1),
    ("SOCKETS_NONESUCH", 1),
]


@pytest.mark.parametrize(("key", "value"), IMPOSSIBLE)
@pytest.mark.parametrize("how", ["Sockets(app)", "init_app"])
def test_impossible_value_raises_at_set_up(how, key, value):
    app = flask.Flask("impossible")
    app.config[key] = value
    set_up = Sockets if how == "Sockets(app)" else Sockets().init_app
    with pytest.raises(ConfigurationError, match=key):
        set_up(app)
    assert "flask_threaded_sockets" not in app.extensions


@pytest.mark.parametrize(("key", "value"), IMPOSSIBLE)
def test_impossible_value_set_later_raises_when_the_server_is_made(key, value):
    app = app_of(echo)
    app.config[key] = value
    with pytest.raises(ConfigurationError, match=key):
        ThreadedWebsocketServer("127.0.0.1", 0, app)


@pytest.mark.parametrize("option", ["max_queue", "ping_interval", "allowed_origins", "compression"])
def test_impossible_value_of_a_route_raises_where_it_is_declared(option):
    sockets = Sockets(flask.Flask("impossible"))
    with pytest.raises(ConfigurationError, match=f"(?i){option}"):
        sockets.route("/", **{option: "impossible"})(echo)


def test_unknown_option_of_a_route_raises_where_it_is_declared():
    sockets = Sockets(flask.Flask("impossible"))
    with pytest.raises(TypeError, match="max_qeue"):
        sockets.route("/", max_qeue=3)(echo)


@both_hosts
def test_configuration_may_be_set_after_sockets(serve):
    app = app_of(echo)
    app.config.update(SOCKETS_MAX_MESSAGE_SIZE=3)
    live = serve(app=app)
    with live.open() as peer:
        peer.text("abc")
        assert peer.frame() == Frame(TEXT, b"abc")
        peer.text("abcd")
        assert peer.frame().payload[:2] == wire("03 f1")
    app.config.update(SOCKETS_MAX_MESSAGE_SIZE=4)  # and once more, while it serves
    with live.open() as peer:
        peer.send(frame(TEXT, b"abcd"))
        assert peer.frame() == Frame(TEXT, b"abcd")


def test_apps_of_one_sockets_have_their_own_configuration(serve):
    sockets = Sockets()
    sockets.route("/")(echo)
    lives = []
    for name, limit in (("one", 3), ("other", 4)):
        app = flask.Flask(name)
        app.config["SOCKETS_MAX_MESSAGE_SIZE"] = limit
        sockets.init_app(app)
        lives.append(serve(app=app))
    for live, expected in zip(lives, (CLOSE, TEXT), strict=True):
        with live.open() as peer:
            peer.send(frame(TEXT, b"abcd"))
            assert peer.frame().first == expected


# SOCKETS_ALLOWED_ORIGINS

EVIL = "https://evil.example"


def ours(origin, environ):
    return origin.endswith(".ours.example") and environ["PATH_INFO"] == "/"


# id, value, Origin, whether it passes.
ORIGINS = [
    ("same origin", None, "http://test.example", True),
    ("same origin in capitals", None, "HTTP://TEST.EXAMPLE:80", True),
    ("no origin", None, None, True),
    ("foreign", None, EVIL, False),
    ("another scheme", None, "https://test.example", False),
    ("another port", None, "http://test.example:8080", False),
    ("null", None, "null", False),
    ("empty", None, "", False),
    ("any", "*", EVIL, True),
    ("listed", [EVIL], EVIL, True),
    ("not listed", [EVIL], "http://test.example", False),
    ("none listed", [], "http://test.example", False),
    ("no origin against a list", [EVIL], None, True),
    ("pattern", [re.compile(r"https://\w+\.example")], EVIL, True),
    ("pattern is of the whole", [re.compile(r"https://evil")], EVIL, False),
    ("callable", ours, "https://a.ours.example", True),
    ("callable refuses", ours, EVIL, False),
]


@pytest.mark.parametrize(
    ("value", "origin", "passes"), [row[1:] for row in ORIGINS], ids=[row[0] for row in ORIGINS]
)
@pytest.mark.parametrize("where", ["app", "route"])
def test_allowed_origins(serve, logs, where, value, origin, passes):
    started = []
    app = flask.Flask("origins")
    if where == "app":
        app.config["SOCKETS_ALLOWED_ORIGINS"] = value
    else:
        app.config["SOCKETS_ALLOWED_ORIGINS"] = [] if passes else "*"
    sockets = Sockets(app)
    options = {} if where == "app" else {"allowed_origins": value}
    sockets.route("/", **options)(started.append)
    live = serve(app=app)
    head, _ = live.ask(request(headers=[] if origin is None else [("Origin", origin)]))
    assert head.status == (101 if passes else 403)
    if not passes:
        logs.expect("SOCKETS_ALLOWED_ORIGINS")
        (record,) = logs.complaints
        assert repr(origin) in record.getMessage()
        assert started == []


@pytest.mark.parametrize("first", ["Sockets", "ProxyFix"])
def test_own_origin_is_what_proxy_fix_makes_of_it(serve, logs, first):
    app = flask.Flask("proxied")
    sockets = Sockets()
    sockets.route("/")(echo)
    if first == "Sockets":
        sockets.init_app(app)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)
    if first == "ProxyFix":
        sockets.init_app(app)
    live = serve(app=app)
    forwarded = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "public.example")]
    head, _ = live.ask(request(headers=[*forwarded, ("Origin", "https://public.example")]))
    assert head.status == 101
    logs.expect("expected the same origin, 'https://public.example'")
    head, _ = live.ask(request(headers=[*forwarded, ("Origin", "http://test.example")]))
    assert head.status == 403


# SOCKETS_COMPRESSION (RFC 7692)

OFFER = ("Sec-WebSocket-Extensions", "permessage-deflate")


def deflate(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]


def inflate(data):
    return zlib.decompressobj(wbits=-15).decompress(data + b"\x00\x00\xff\xff")


def extensions(live, path="/", offer=OFFER):
    head, peer = live.ask(request(path, [offer]))
    assert head.status == 101
    return head.headers.get("sec-websocket-extensions"), peer


def test_compression_is_off_by_default(serve):
    agreed, peer = extensions(serve(echo))
    assert agreed is None
    peer.send(frame(0xC1, deflate(b"abc")))
    assert peer.frame().payload[:2] == wire("03 ea")


@pytest.mark.needs(Feature.COMPRESSION)
def test_compression_is_agreed_and_used_both_ways(serve):
    agreed, peer = extensions(serve(echo, SOCKETS_COMPRESSION=True))
    assert agreed.startswith("permessage-deflate")
    message = b"again and " * 1000
    peer.send(bulk(0xC2, deflate(message)))
    first, payload = peer.frame()
    assert first == 0xC2
    assert len(payload) < 200
    assert inflate(payload) == message


@pytest.mark.needs(Feature.COMPRESSION)
def test_compression_is_not_used_where_the_client_does_not_offer_it(serve):
    live = serve(echo, SOCKETS_COMPRESSION=True)
    head, peer = live.ask(request())
    assert "sec-websocket-extensions" not in head.headers
    peer.text("abc" * 100)
    assert peer.frame() == Frame(TEXT, b"abc" * 100)


@pytest.mark.needs(Feature.COMPRESSION)
def test_do_compress_false_sends_as_is(serve):
    def handler(ws):
        ws.send("abc" * 100, do_compress=False)
        ws.send("abc" * 100)
        ws.send_frame("abc" * 100, ws.OPCODE_TEXT)
        ws.send_frame("abc" * 100, ws.OPCODE_TEXT, do_compress=True)
        ws.ping(b"never")

    _, peer = extensions(serve(handler, SOCKETS_COMPRESSION=True))
    firsts = [peer.frame().first for _ in range(5)]
    assert firsts == [0x81, 0xC1, 0x81, 0xC1, 0x89]


@pytest.mark.needs(Feature.COMPRESSION)
def test_compression_of_a_route(serve):
    app = flask.Flask("routes")
    sockets = Sockets(app)
    sockets.route("/", endpoint="plain")(echo)
    sockets.route("/packed", endpoint="packed", compression=True)(echo)
    live = serve(app=app)
    assert extensions(live)[0] is None
    assert extensions(live, "/packed")[0] is not None


@pytest.mark.needs(Feature.COMPRESSION)
@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False), (64 << 20, False)])
def test_limit_holds_for_the_inflated_message(serve, size, fits):
    live = serve(echo, SOCKETS_COMPRESSION=True, SOCKETS_MAX_MESSAGE_SIZE=1000)
    _, peer = extensions(live)
    peer.send(bulk(0xC2, deflate(bytes(size))))
    first, payload = peer.frame()
    assert (first, payload[:2]) == ((CLOSE, wire("03 f1")) if not fits else (0xC2, payload[:2]))


@pytest.mark.needs(Feature.COMPRESSION)
@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x07", b"garbage!"])
def test_what_cannot_be_inflated_fails_the_connection(serve, payload):
    _, peer = extensions(serve(echo, SOCKETS_COMPRESSION=True))
    peer.send(frame(0xC2, payload))
    first, reason = peer.frame()
    assert first == CLOSE
    assert int.from_bytes(reason[:2]) in (1002, 1007)


@pytest.mark.needs(Feature.COMPRESSION)
def test_uncompressed_message_is_taken_where_compression_was_agreed(serve):
    _, peer = extensions(serve(echo, SOCKETS_COMPRESSION=True))
    peer.send(frame(BINARY, b"as is"))
    assert inflate(peer.frame().payload) == b"as is"


# SOCKETS_BACKEND


def test_chosen_backend_is_logged_once_for_an_app(backend, logs, serve):
    app = app_of(echo, name="chosen")
    live = serve(app=app)
    for _ in range(3):
        live.open()
    app.config["SOCKETS_MAX_QUEUE"] = 5  # read again, but the backend is the same
    live.open()
    lines = [line for line in logs.messages("flask_threaded_sockets") if "backend" in line]
    source = "environment variable FLASK_SOCKETS_BACKEND"
    assert lines == [f"app 'chosen' uses websocket backend '{backend}' ({source})"]
