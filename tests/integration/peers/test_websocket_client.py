"""``websocket-client`` as a witness."""

from __future__ import annotations

import contextlib
import queue

import flask
import pytest
import websocket
from live import HOSTS, app_of
from peer import DEADLINE

from flask_threaded_sockets import Sockets

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)


def echo(ws):
    for message in ws:
        ws.send(message)


@contextlib.contextmanager
def opened(live, **options):
    scheme = "ws" if live.tls is None else "wss"
    if live.tls is not None:
        options["sslopt"] = {"context": live.tls}
    client = websocket.create_connection(
        f"{scheme}://localhost:{live.port}/", timeout=DEADLINE, **options
    )
    try:
        yield client
    finally:
        client.shutdown()


@pytest.mark.parametrize("secure", [False, True], ids=["", "tls"])
def test_messages_come_back(serve, request, secure):
    certificate = request.getfixturevalue("certificate") if secure else None
    with opened(serve(echo, certificate=certificate)) as client:
        for message in ("", "text", "κόσμε", "x" * 126, "x" * 70_000):
            client.send(message)
            assert client.recv() == message
            client.send_binary(message.encode())
            assert client.recv() == message.encode()
        client.close(timeout=DEADLINE)


def test_pings_and_pongs(serve):
    with opened(serve(echo)) as client:
        client.ping(b"x")
        assert client.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b"x")
        client.pong(b"unsolicited")
        client.send("still")
        assert client.recv() == "still"


def test_fragments_come_back_as_one_message(serve):
    with opened(serve(echo)) as client:
        for opcode, part, fin in ((1, "frag", 0), (0, "men", 0), (9, b"p", 1), (0, "ted", 1)):
            data = part.encode() if isinstance(part, str) else part
            client.send_frame(websocket.ABNF(fin, 0, 0, 0, opcode, 1, data))
        assert client.recv() == "fragmented"


def test_close_of_the_server(serve):
    def handler(ws):
        ws.close(3001, "why not")

    with opened(serve(handler)) as client:
        opcode, data = client.recv_data(control_frame=True)
        assert (opcode, data) == (websocket.ABNF.OPCODE_CLOSE, b"\x0b\xb9why not")


def test_close_of_the_client(serve, logs):
    logs.expect("close status: 1001")  # the client's own way to say it
    told = queue.SimpleQueue()

    def handler(ws):
        told.put((ws.receive(), ws.close_code, ws.close_reason))

    with opened(serve(handler)) as client:
        client.close(1001, b"away", timeout=DEADLINE)
    assert told.get(timeout=DEADLINE) == (None, 1001, "away")


def test_client_that_just_drops_its_socket(serve):
    told = queue.SimpleQueue()

    def handler(ws):
        told.put((ws.receive(), ws.close_code))

    with opened(serve(handler)):
        pass
    assert told.get(timeout=DEADLINE) == (None, 1006)


def test_refusal(serve):
    app = app_of(echo)
    app.before_request(lambda: ("no", 403))
    with pytest.raises(websocket.WebSocketBadStatusException) as caught, opened(serve(app=app)):
        pass
    assert caught.value.status_code == 403


def test_subprotocol_origin_and_cookie(serve):
    told = queue.SimpleQueue()

    def handler(ws):
        told.put((ws.protocol, ws.origin, ws.environ["HTTP_COOKIE"]))

    app = flask.Flask("live")
    Sockets(app).route("/", subprotocols=["chat"])(handler)
    live = serve(app=app)
    origin = f"http://localhost:{live.port}"
    with opened(live, subprotocols=["chat"], origin=origin, cookie="a=b"):
        assert told.get(timeout=DEADLINE) == ("chat", origin, "a=b")
