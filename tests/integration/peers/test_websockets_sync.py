"""The sync client of ``websockets`` as a witness."""

from __future__ import annotations

import contextlib
import queue
import threading

import flask
import pytest
from live import HOSTS, app_of, in_thread
from peer import DEADLINE
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close
from websockets.sync.client import connect

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.backend import Feature

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)

MESSAGES = [
    "",
    b"",
    "text",
    b"\x00\xff",
    "κόσμε \U0001f600",
    "x" * 125,
    "x" * 126,
    b"x" * 65535,
    b"x" * 65536,
    bytes(range(256)) * 4096,
]


def echo(ws):
    for message in ws:
        ws.send(message)


@contextlib.contextmanager
def opened(live, path="/", **options):
    options.setdefault("compression", None)
    options.setdefault("max_size", None)
    with connect(
        f"ws://localhost:{live.port}{path}",
        open_timeout=DEADLINE,
        close_timeout=DEADLINE,
        **options,
    ) as client:
        yield client


def test_messages_come_back(serve):
    with opened(serve(echo)) as client:
        for message in MESSAGES:
            client.send(message)
            assert client.recv(DEADLINE) == message
    assert client.close_code == 1000


# Not over TLS: this client reads and writes one SSLSocket in two threads, which can stop both
# for ever (CPython issue 137583). The other two clients here witness that.


def test_fragments_come_back_as_one_message(serve):
    with opened(serve(echo)) as client:
        client.send(["frag", "men", "", "ted"])
        assert client.recv(DEADLINE) == "fragmented"
        client.send(iter([b"a" * 70_000, b"b"]))
        assert client.recv(DEADLINE) == b"a" * 70_000 + b"b"


def test_pings_are_answered(serve):
    with opened(serve(echo)) as client:
        for payload in (b"", b"x" * 125):
            assert client.ping(payload).wait(DEADLINE)


def test_pings_are_sent_and_answered(serve):
    live = serve(echo, SOCKETS_PING_INTERVAL=0.2, SOCKETS_PING_TIMEOUT=0.5)
    with opened(live, ping_interval=None) as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=1.5)  # the client answers by itself
        client.send("alive")
        assert client.recv(DEADLINE) == "alive"


# id, handler, whether the client calls it an error, what the client sees.
ENDINGS = [
    ("return", lambda ws: None, ConnectionClosedOK, Close(1000, "")),
    ("close", lambda ws: ws.close(1001, "né"), ConnectionClosedOK, Close(1001, "né")),
    ("own code", lambda ws: ws.close(4321, "why"), ConnectionClosedError, Close(4321, "why")),
    ("abort", lambda ws: flask.abort(403), ConnectionClosedError, Close(1008, "Forbidden")),
]


@pytest.mark.parametrize(
    ("handler", "error", "close"), [row[1:] for row in ENDINGS], ids=[row[0] for row in ENDINGS]
)
def test_end_of_the_handler(serve, handler, error, close):
    with opened(serve(handler)) as client, pytest.raises(error) as caught:
        client.recv(DEADLINE)
    assert caught.value.rcvd == close
    assert caught.value.rcvd_then_sent


def test_exception_of_the_handler(serve, logs):
    logs.expect("Exception on /")
    with opened(serve(lambda ws: 1 / 0)) as client, pytest.raises(ConnectionClosedError) as caught:
        client.recv(DEADLINE)
    assert caught.value.rcvd.code == 1011


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (3000, "né")])
def test_close_of_the_client(serve, code, reason):
    told = queue.SimpleQueue()

    def handler(ws):
        told.put((ws.receive(), ws.close_code, ws.close_reason))

    with opened(serve(handler)) as client:
        client.close(code, reason)
    assert told.get(timeout=DEADLINE) == (None, code, reason)
    assert client.close_code == code


@pytest.mark.needs(Feature.COMPRESSION)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"client_max_window_bits": True},
        {"server_max_window_bits": 9},
        {"client_max_window_bits": 9, "server_max_window_bits": 10},
        {"server_no_context_takeover": True},
        {"client_no_context_takeover": True},
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
    ],
    ids=str,
)
def test_compression(serve, parameters):
    live = serve(echo, SOCKETS_COMPRESSION=True)
    offer = [ClientPerMessageDeflateFactory(**parameters)]
    with opened(live, extensions=offer) as client:
        (extension,) = client.protocol.extensions
        assert extension.name == "permessage-deflate"
        for message in MESSAGES * 3:
            client.send(message)
            assert client.recv(DEADLINE) == message


def test_compression_that_the_server_does_not_want(serve):
    with opened(serve(echo), compression="deflate") as client:
        assert client.protocol.extensions == []
        client.send("plain")
        assert client.recv(DEADLINE) == "plain"


def test_subprotocol(serve):
    app = flask.Flask("subprotocols")
    Sockets(app).route("/", subprotocols=["mqtt", "chat"])(
        lambda ws: ws.send(ws.subprotocol or "-")
    )
    live = serve(app=app)
    for offered, chosen in (
        (["chat"], "chat"),
        (["superchat", "chat", "mqtt"], {"chat", "mqtt"}),
        (["superchat"], None),
        (None, None),
    ):
        with opened(live, subprotocols=offered) as client:
            chosen = chosen if isinstance(chosen, set) else {chosen}
            assert client.subprotocol in chosen
            assert client.recv(DEADLINE) == (client.subprotocol or "-")


def test_refusal(serve):
    app = app_of(echo)
    app.before_request(lambda: ("log in first", 401))
    with pytest.raises(InvalidStatus) as caught, opened(serve(app=app)):
        pass
    assert caught.value.response.status_code == 401
    assert caught.value.response.body == b"log in first"


def test_many_messages_both_ways_at_once(serve):
    def handler(ws):
        pusher = threading.Thread(target=lambda: [ws.send(f"{n}") for n in range(3000)])
        pusher.start()
        heard = [ws.receive() for _ in range(3000)]
        pusher.join()
        ws.send("same" if heard == [str(n) for n in range(3000)] else "different")

    with opened(serve(handler)) as client:
        sending = in_thread(lambda: [client.send(f"{n}") for n in range(3000)])
        assert [client.recv(DEADLINE) for _ in range(3000)] == [str(n) for n in range(3000)]
        sending.result()
        assert client.recv(DEADLINE) == "same"
