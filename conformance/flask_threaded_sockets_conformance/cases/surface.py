"""The ``WebSocket`` contract's rows ``closed``, attributes and beyond, as the README has it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from flask import request

from flask_threaded_sockets import (
    FrameTooLargeException,
    ProtocolError,
    ThreadedWebsocketServer,
    WebSocket,
    WebSocketError,
    WebSocketWSGI,
)

from ..arrivals import Close, Eof, Text
from ..peer import Peer
from ..server import PlainSite, clients_of
from ..trial import Trial, request_head
from ..wire import text
from .contract import area

__all__: list[str] = []


@area.case("closed")
def closed_is_false_while_open(t: Trial) -> None:
    """The handler looks while nobody has closed.

    Expect: ``closed`` is false, ``close_code`` and ``close_reason`` are ``None``.
    """
    peer = t.connect(lambda ws: (ws.closed, ws.close_code, ws.close_reason))
    t.equal(t.returned(peer), (False, None, None), "closed, close_code, close_reason")


@area.case("attributes")
def attributes(t: Trial) -> None:
    """The request has an Origin and a Sec-WebSocket-Protocol.

    Expect: ``origin``, ``protocol``, ``version``, ``path`` and ``environ`` tell.
    """
    headers = {"Origin": "https://a.example", "Sec-WebSocket-Protocol": "mqtt, chat"}
    site = t.site(route={"allowed_origins": "*"})
    peer = t.connect(lambda ws: ws.environ["REQUEST_METHOD"], site=site, headers=headers)
    ws = t.websocket(peer)
    t.equal(t.returned(peer), "GET", "environ['REQUEST_METHOD']")
    came = [ws.origin, ws.protocol, ws.version, ws.path and ws.path.rpartition("/")[0]]
    t.equal(came, ["https://a.example", "mqtt, chat", "13", "/call"], "attributes")


@area.case("attributes")
def attributes_after_close(t: Trial) -> None:
    """The attributes are read after the handler's end, from another thread.

    Expect: they stay readable.
    """
    peer = t.connect(lambda ws: ws.close(4000, "over"))
    peer.expect_end(4000)
    t.returned(peer)
    ws = t.websocket(peer)
    came = [ws.closed, ws.close_code, ws.close_reason, ws.version, ws.origin]
    t.equal(came, [True, 4000, "over", "13", None], "attributes")
    t.equal(ws.environ["PATH_INFO"], ws.path, "environ")


@area.case("subprotocol")
def subprotocol(t: Trial) -> None:
    """A subprotocol was agreed; on another connection none.

    Expect: ``subprotocol`` is its name, or ``None``.
    """
    site = t.site(route={"subprotocols": ["chat"]})
    offer = {"Sec-WebSocket-Protocol": "mqtt, chat"}
    with_one = t.returned(t.connect(lambda ws: ws.subprotocol, site=site, headers=offer))
    without = t.returned(t.connect(lambda ws: ws.subprotocol, site=site))
    t.equal([with_one, without], ["chat", None], "subprotocol")


@area.case("backend")
def backend(t: Trial) -> None:
    """The handler asks for the backend.

    Expect: its name is the one that was chosen.
    """
    peer = t.connect(lambda ws: ws.backend.name if ws.backend else None)
    t.equal(t.returned(peer), t.stack.backend, "backend.name")


@area.case("handler")
def clients_has_this_one(t: Trial) -> None:
    """The handler looks for itself among ``handler.server.clients``.

    Expect: its address maps to a client with ``.address`` and ``.ws``, which is also
    ``handler.active_client``.
    """

    def handler(ws: WebSocket) -> tuple[bool, bool, tuple[str, int]]:
        assert ws.handler is not None  # noqa: S101  (under this package's server)
        active = ws.handler.active_client
        client = clients_of(ws)[active.address]
        return client.ws is ws, active.ws is ws, tuple(client.address)

    peer = t.connect(handler)
    t.equal(t.returned(peer), (True, True, peer.socket.getsockname()), "the client")


@area.case("handler")
def broadcast(t: Trial) -> None:
    """One handler sends to all of ``handler.server.clients``.

    Expect: all three clients get it.
    """
    site = t.own_site()
    done = threading.Event()
    peers = [t.connect(lambda _: done.wait(t.patience), site=site) for _ in range(2)]
    for peer in peers:
        t.websocket(peer)

    def handler(ws: WebSocket) -> int:
        clients = clients_of(ws)
        for client in clients.values():
            client.ws.send("to all")
        return len(clients)

    last = t.connect(handler, site=site)
    for peer in (*peers, last):
        peer.expect(Text("to all"))
    done.set()
    t.equal(t.returned(last), 3, "clients")


@area.case("handler")
def clients_leave(t: Trial) -> None:
    """A client comes and goes while another stays.

    Expect: ``clients`` holds it no longer; a snapshot taken before is not changed.
    """
    site = t.own_site()
    done = threading.Event()
    stays = t.connect(lambda _: done.wait(2 * t.patience), site=site)
    ws = t.websocket(stays)
    goes = t.connect(site=site)
    t.wait(lambda: len(clients_of(ws)) == 2, "two clients")
    snapshot = clients_of(ws)
    goes.close()
    goes.expect(Close(1000), Eof())
    t.wait(lambda: len(clients_of(ws)) == 1, "one client")
    done.set()
    t.equal(len(snapshot), 2, "the snapshot")


@area.case("handler")
def clients_of_one_server(t: Trial) -> None:
    """Clients are connected to two servers in one process.

    Expect: ``clients`` has those of the same server.
    """
    done = threading.Event()
    first = t.connect(lambda _: done.wait(t.patience), site=t.own_site())
    t.websocket(first)
    second = t.connect(lambda ws: len(clients_of(ws)), site=t.own_site())
    count = t.returned(second)
    done.set()
    t.equal(count, 1, "clients")


@area.case("with ws")
def with_block(t: Trial) -> None:
    """The handler leaves a ``with ws:`` block, and goes on.

    Expect: Close 1000, and ``closed`` is true behind the block.
    """

    def handler(ws: WebSocket) -> bool:
        with ws:
            ws.send("inside")
        return ws.closed

    peer = t.connect(handler)
    peer.expect(Text("inside"))
    peer.expect_end(1000)
    t.equal(t.returned(peer), True, "closed")


@area.case("with ws")
def with_block_raises(t: Trial) -> None:
    """An exception leaves a ``with ws:`` block and is caught behind it.

    Expect: Close 1011.
    """

    def handler(ws: WebSocket) -> None:
        try:
            with ws:
                raise ValueError("of the case")
        except ValueError:
            pass

    t.connect(handler).expect_end(1011)


@area.case("exceptions")
def exceptions(t: Trial) -> None:
    """The classes of the exceptions.

    Expect: OSError > WebSocketError > ProtocolError > FrameTooLargeException.
    """
    chain = [FrameTooLargeException, ProtocolError, WebSocketError, OSError]
    for inner, outer in itertools.pairwise(chain):
        t.true(issubclass(inner, outer), f"{inner.__name__} is no {outer.__name__}")


@area.case("wsgi.websocket")
def environ_in_handler(t: Trial) -> None:
    """A handler looks into ``request.environ``.

    Expect: ``wsgi.websocket`` is its WebSocket.
    """
    peer = t.connect(lambda ws: request.environ["wsgi.websocket"] is ws)
    t.equal(t.returned(peer), True, "whether it is the same")


def _at_view(t: Trial, handler: Callable[[WebSocket], object]) -> Peer:
    """Call a plain Flask view, as written for gevent-websocket."""
    site = t.site()
    path, call = site.enlist(handler)
    peer, response = t.ask(request_head(path.replace("/call/", "/view/")), site=site)
    t.equal(response.status, 101, "status")
    peer.call = call
    return peer


def _echoes(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


@area.case("wsgi.websocket")
def plain_view(t: Trial) -> None:
    """A plain view takes ``request.environ["wsgi.websocket"]`` and echoes.

    Expect: the handshake is answered at the first use; all works as in a handler.
    """
    peer = _at_view(t, _echoes)
    peer.send(text("a"))
    peer.expect(Text("a"))
    peer.close(1000)
    peer.expect(Close(1000), Eof())


@area.case("wsgi.websocket")
def plain_view_response(t: Trial) -> None:
    """A plain view uses its WebSocket and returns a response.

    Expect: Close 1000 and the end of the stream; no byte of the response.
    """
    peer = _at_view(t, lambda ws: ws.send("hi"))
    peer.expect(Text("hi"))
    peer.expect_end(1000)


@area.case("wsgi.websocket")
def plain_view_without_use(t: Trial) -> None:
    """A plain view is asked to upgrade and does not use its WebSocket.

    Expect: its HTTP response.
    """
    site = t.site()
    path, _ = site.enlist(lambda ws: None)  # noqa: ARG005  (a handler is given one)
    peer, response = t.ask(request_head(path.replace("/call/", "/view/")), site=site)
    t.equal(response.status, 200, "status")
    t.equal(peer.read_body(), b"a response", "body")


@area.case("WebSocketWSGI")
def wsgi_application(t: Trial) -> None:
    """``WebSocketWSGI(handler)`` is served without Flask.

    Expect: it echoes, and an ordinary request is answered with 426.
    """

    def handler(ws: WebSocket) -> None:
        for message in ws:
            ws.send(message)

    app = WebSocketWSGI(handler, backend=t.stack.backend)
    with PlainSite(ThreadedWebsocketServer("127.0.0.1", 0, app)) as site:
        peer, response = t.ask(request_head("/any"), site=site)
        t.equal(response.status, 101, "status")
        peer.fence()
        peer.close(1000)
        peer.expect(Close(1000), Eof())
        _, response = t.ask(request_head("/any", {"Upgrade": None}), site=site)
        t.equal(response.status, 426, "status")
