"""One run of one case: connections, the handlers at their other ends, comparisons."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar

from flask_threaded_sockets import WebSocket

from .arrivals import Mismatch
from .peer import Peer
from .response import Response
from .server import Call, Handler, PlainSite, Site, Stack
from .timeline import Timeline

__all__ = ["KEY_HEADER", "Trial", "frame_of", "request_head"]

# The nonce of RFC 6455 section 1.3.
KEY_HEADER = "dGhlIHNhbXBsZSBub25jZQ=="

# How long requests are waited for whose connections have gone and whose case has failed.
_LAST_WORDS: Final = 0.5

T = TypeVar("T")

# Held while the collector is off, so that one does not turn it on for another.
_looking = threading.Lock()


def request_head(
    path: str,
    headers: Mapping[str, str | None] | None = None,
    *,
    method: str = "GET",
    version: str = "HTTP/1.1",
    lines: str = "",
) -> bytes:
    """Write an opening handshake's request.

    Args:
        path: the request's target.
        headers: further ones, or others in the place of the usual; ``None``: left out.
        method: the method.
        version: the HTTP version.
        lines: further header lines as they are, each with its line end.
    """
    usual: dict[str, str | None] = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY_HEADER,
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in usual.items() if value is not None)
    return f"{method} {path} {version}\r\n{text}{lines}\r\n".encode("latin-1")


class Trial:
    """Run one case against one backend; a context manager that ends its connections.

    Args:
        stack: the backend's.
        patience: seconds to wait for what must come; generous, since it decides nothing
            but how long a failure takes.
        thorough: whether to deliver wire data at every split.

    Attributes:
        timeline: what happened, of the delivery in progress.
        first: what happened in the first delivery.
        delivery: the name of the delivery in progress.
    """

    def __init__(self, stack: Stack, *, patience: float = 10.0, thorough: bool = True) -> None:
        self.stack = stack
        self.patience = patience
        self.thorough = thorough
        self.timeline = self.first = Timeline()
        self.delivery = "whole"
        self._peers: list[Peer] = []
        self._watched: list[tuple[Site, Any]] = []
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        for peer in self._peers:
            peer.leave()
        # What ends a request is known once it has ended; only a failure needs it.
        deadline = time.monotonic() + (0.0 if error is None else _LAST_WORDS)
        for site, address in self._watched:
            site.forget(address, deadline)
        self._cleanup.close()

    # Connections

    def begin(self, delivery: str) -> None:
        """Begin a delivery, with a timeline of its own."""
        if delivery != "whole":
            self.timeline = Timeline()
        self.delivery = delivery

    def site(
        self,
        config: Mapping[str, Any] | None = None,
        route: Mapping[str, Any] | None = None,
    ) -> Site:
        """Give the site with a configuration, shared with other cases."""
        return self.stack.site(config, route)

    def own_site(self, **arguments: Any) -> Site:
        """Start a site for this trial alone."""
        site = Site(self.stack.backend, **arguments)
        self._cleanup.callback(site.stop)
        return site

    def dial(self, site: Site | PlainSite, receive_buffer: int | None = None) -> Peer:
        """Connect without a word."""
        number = len(self._peers) + 1
        peer = Peer(site.address, self.timeline, number, self.patience, receive_buffer)
        self._peers.append(peer)
        address = peer.socket.getsockname()
        peer.settle = lambda: site.settle(address)
        if isinstance(site, Site):
            site.watch(address, lambda error: peer.timeline.add("app", number, _raised(error)))
            self._watched.append((site, address))
        return peer

    def dial_address(self, address: tuple[str, int]) -> Peer:
        """Connect to a server that is no site, without a word."""
        peer = Peer(address, self.timeline, len(self._peers) + 1, self.patience)
        self._peers.append(peer)
        return peer

    def ask(
        self, request: bytes, *, site: Site | PlainSite | None = None, early: bytes = b""
    ) -> tuple[Peer, Response]:
        """Send a request and read the head of the response, whatever it is."""
        peer = self.dial(site or self.site())
        self.timeline.add("client", peer.number, request.decode("latin-1").rstrip())
        peer.socket.sendall(request + early)
        if early:
            self.timeline.add("client", peer.number, early)
        return peer, peer.read_head()

    def connect(
        self,
        handler: Handler | None = None,
        *,
        site: Site | None = None,
        config: Mapping[str, Any] | None = None,
        route: Mapping[str, Any] | None = None,
        path: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        receive_buffer: int | None = None,
    ) -> Peer:
        """Open a WebSocket.

        Args:
            handler: the handler at the other end; ``None``: it echoes.
            site: where to; ``None``: the one with ``config`` and ``route``.
            config: options of the app.
            route: options of the route.
            path: a route of the site's own, in the place of a handler.
            headers: further request headers.
            receive_buffer: the size of the client's buffer in bytes.

        Raises:
            Mismatch: the server did not answer with 101.
        """
        site = site or self.site(config, route)
        call: Call | None = None
        if path is None:
            path = "/echo"
            if handler is not None:
                path, call = site.enlist(handler)
        peer = self.dial(site, receive_buffer)
        peer.call = call
        peer.socket.sendall(request_head(path, headers))
        response = peer.read_head()
        if response.status != 101:
            raise Mismatch(f"expected 101, came {response.line!r}")
        _agree(peer, response.get("Sec-WebSocket-Extensions"))
        return peer

    # The other end

    def returned(self, peer: Peer, patience: float | None = None) -> Any:
        """Wait for the handler's end and give what it returned.

        Raises:
            Mismatch: it raised, or does not end.
        """
        call = peer.call
        assert call is not None  # noqa: S101  (a case's own mistake)
        if not call.done.wait(self.patience if patience is None else patience):
            raise Mismatch("the handler did not end in time")
        if call.error is not None:
            raise Mismatch(f"the handler raised {call.error!r}") from call.error
        self.timeline.add("app", peer.number, f"returned {_short(call.value)}")
        return call.value

    def websocket(self, peer: Peer) -> WebSocket:
        """Wait for the handler's start and give its WebSocket."""
        assert peer.call is not None  # noqa: S101
        if not peer.call.started.wait(self.patience) or peer.call.ws is None:
            raise Mismatch("the handler did not start in time")
        return peer.call.ws

    def wait_for_receive(self, peer: Peer) -> None:
        """Wait until the handler is blocked in ``receive()``.

        Raises:
            Mismatch: it does not get there.
        """
        self.websocket(peer)
        call = peer.call
        assert call is not None  # noqa: S101
        self.wait_for_thread(call.thread)

    def wait_for_thread(self, thread: int) -> None:
        """Wait until a thread, given by its identity, is blocked in ``receive()``.

        Raises:
            Mismatch: it does not get there.
        """
        places: list[object] = []

        def stays() -> bool:
            # At the same instruction at ten looks in a row, each of which lets it run.
            frame = inner = frame_of(thread)
            while frame is not None and frame.f_code is not WebSocket.receive.__code__:
                frame = frame.f_back
            if frame is None or inner is None:
                places.clear()
                return False
            place = (inner.f_code, inner.f_lasti)
            if places and places[-1] != place:
                places.clear()
            places.append(place)
            return len(places) > 10

        self.wait(stays, "the thread is blocked in receive()")

    # Comparing

    def equal(self, came: Any, wanted: Any, what: str) -> None:
        """Compare values, and their types.

        Raises:
            Mismatch: they differ.
        """
        if came != wanted or type(came) is not type(wanted):
            raise Mismatch(f"{what}: expected {_short(wanted)}, came {_short(came)}")

    def true(self, condition: object, what: str) -> None:
        """Insist on a condition.

        Raises:
            Mismatch: it does not hold.
        """
        if not condition:
            raise Mismatch(what)

    def wait(self, condition: Callable[[], object], what: str, within: float | None = None) -> None:
        """Wait until a condition holds.

        Args:
            condition: looked at every few milliseconds.
            what: the condition in words.
            within: seconds; ``None``: the patience.

        Raises:
            Mismatch: it does not come to hold in time.
        """
        limit = self.patience if within is None else within
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                raise Mismatch(f"not within {limit:g} s: {what}")
            time.sleep(0.002)

    @contextlib.contextmanager
    def takes(self, at_most: float, what: str, at_least: float = 0.0) -> Iterator[None]:
        """Insist on how many seconds the block takes."""
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if not at_least <= took <= at_most:
            raise Mismatch(f"{what} took {took:.2f} s, expected {at_least:g} to {at_most:g} s")

    def raises(self, kind: type[BaseException], function: Callable[[], object]) -> BaseException:
        """Insist that a function raises; for use in a handler or out of it.

        Raises:
            Mismatch: it does not, or something else.
        """
        try:
            value = function()
        except kind as error:
            return error
        except Exception as error:
            raise Mismatch(f"expected {kind.__name__}, came {error!r}") from error
        raise Mismatch(f"expected {kind.__name__}, came {_short(value)}")


def frame_of(thread: int) -> FrameType | None:
    """Give what a thread is just doing."""
    # CPython 3.11 makes frame objects here while it holds a lock that each start of a
    # thread needs. If the collector runs on that occasion and lets others run, the whole
    # process stands still for ever (python/cpython issue 106883).
    with _looking:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return sys._current_frames().get(thread)  # noqa: SLF001
        finally:
            if collecting:
                gc.enable()


def _agree(peer: Peer, header: str | None) -> None:
    """Prepare a client for what the server said of permessage-deflate."""
    if header is None:
        return
    parameters = dict(part.strip().partition("=")[::2] for part in header.split(";")[1:])
    peer.window = int(parameters.get("server_max_window_bits", "15").strip('"') or 15)
    peer.reset_inflater = "server_no_context_takeover" in parameters
    peer.inflater = zlib.decompressobj(-peer.window)


def _raised(error: BaseException) -> str:
    """Tell what was raised, and where."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    code = frame.f_code
    return f"raised {error!r} in {code.co_name} ({Path(code.co_filename).name}, line {line})"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 160 else f"{shown[:150]}… ({len(shown)} characters)"
