"""Cases that are a row of a table: these bytes in, these frames out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flask_threaded_sockets import WebSocket
from flask_threaded_sockets.backend import Feature

from .arrivals import Arrival, Close, Eof, Raw
from .case import Area, Case, Level
from .delivery import deliveries
from .peer import Peer
from .trial import Trial
from .wire import CLOSE, FIN, FrameReader

__all__ = ["Exchange", "Want", "add_exchanges", "collect"]

Want: TypeAlias = Arrival | Raw


@dataclass(frozen=True)
class Exchange:
    """Hold one row.

    Attributes:
        id: the case's, without its area.
        section: the RFC's section.
        description: what is sent, in words.
        send: the client's bytes, literally.
        expect: what an echo server sends. After a Close its end is expected, after
            anything else that it goes on echoing.
        level: must or should.
        expectation: in words; empty: made of ``expect``.
        config: options of the app.
        headers: further headers of the opening handshake.
        feature: the ability it needs.
        app: what the handler is given, where that is judged: messages and ``None``,
            then ``close_code``. The handler does not echo then.
    """

    id: str
    section: str
    description: str
    send: bytes
    expect: tuple[Want, ...] = ()
    level: Level = "must"
    expectation: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    feature: Feature | None = None
    app: tuple[Any, ...] | None = None

    def run(self, t: Trial) -> None:
        """Do it, in every delivery."""
        ends = bool(self.expect) and isinstance(self.expect[-1], Close)
        peer: Peer | None = None
        for name, pieces in deliveries(self.send, thorough=t.thorough):
            t.begin(name)
            # What does not end a connection is delivered on one, again and again.
            if peer is None or ends:
                handler = None if self.app is None else collect
                peer = t.connect(handler, config=self.config, headers=self.headers)
            peer.timeline = t.timeline
            peer.deliver(pieces)
            peer.expect(*self.expect)
            if ends:
                if not _has_close(self.send):
                    peer.close()
                peer.expect(Eof())
                if self.app is not None:
                    t.equal(t.returned(peer), self.app, "messages and close_code")
                peer.leave()
            else:
                peer.fence()

    def case(self, area: str) -> Case:
        """Make a case of it."""
        words = self.expectation or self._words()
        return Case(
            self.id, area, self.section, self.level, self.description, words, self.run, self.feature
        )

    def _words(self) -> str:
        if not self.expect:
            return "The server sends nothing and goes on echoing."
        told = ", then ".join(map(str, self.expect))
        ends = isinstance(self.expect[-1], Close)
        words = f"The server sends {told}" + (", then the end of the stream." if ends else ".")
        if self.app is not None:
            words += f" receive() and then close_code give {', '.join(map(repr, self.app))}."
        return words


def collect(ws: WebSocket) -> tuple[Any, ...]:
    """Be a handler that gives all it receives, then ``close_code``."""
    messages: list[Any] = []
    while not messages or messages[-1] is not None:
        messages.append(ws.receive())
    return (*messages, ws.close_code)


def _has_close(data: bytes) -> bool:
    reader = FrameReader()
    reader.feed(data)
    while (frame := reader.next()) is not None:
        if frame.first == FIN | CLOSE and len(frame.payload) <= 125:
            return True
    return False


def add_exchanges(area: Area, *rows: Exchange) -> None:
    """Add rows to an area."""
    for row in rows:
        area.add(row.case(area.name))
