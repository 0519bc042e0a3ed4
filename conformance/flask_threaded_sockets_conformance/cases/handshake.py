"""The opening handshake (RFC 6455 section 4.2)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..arrivals import Text
from ..case import Area, Case, Level
from ..delivery import deliveries
from ..response import Response
from ..server import Site
from ..trial import KEY_HEADER, Trial, request_head
from ..wire import text

__all__ = ["area"]

area = Area("handshake", "Opening handshake")

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PROTOCOLS = {"subprotocols": ["chat", "superchat"]}


def _accept(key: str) -> str:
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True)
class _Row:
    """A request and the response's status and headers; ``None``: the header is absent."""

    id: str
    section: str
    description: str
    status: int | tuple[int, ...] = 101
    headers: Mapping[str, str | None] = field(default_factory=dict)
    wanted: Mapping[str, str | None] = field(default_factory=dict)
    path: str = "/echo"
    method: str = "GET"
    version: str = "HTTP/1.1"
    lines: str = ""
    route: Mapping[str, Any] | None = None
    level: Level = "must"

    def run(self, t: Trial) -> None:
        """Ask, in every delivery."""
        site = t.site(route=self.route)
        same = f"{site.address[0]}:{site.address[1]}"
        headers = {
            "Host": same,
            **{name: value and value.replace("SAME", same) for name, value in self.headers.items()},
        }
        request = request_head(
            self.path, headers, method=self.method, version=self.version, lines=self.lines
        )
        for name, pieces in deliveries(request, thorough=t.thorough):
            t.begin(name)
            self._once(t, site, pieces)

    def _once(self, t: Trial, site: Site, pieces: Any) -> None:
        peer = t.dial(site)
        peer.deliver(pieces)
        response = peer.read_head()
        expected = self.status if isinstance(self.status, tuple) else (self.status,)
        t.true(
            response.status in expected,
            f"expected status {' or '.join(map(str, expected))}, came {response.line!r}",
        )
        for name, value in self.wanted.items():
            t.equal(response.get(name), value, f"header {name}")
        if response.status == 101:
            _check_101(t, response, str(self.headers.get("Sec-WebSocket-Key", KEY_HEADER)))
            peer.fence()
        peer.leave()

    def case(self) -> Case:
        """Make a case of it."""
        statuses = self.status if isinstance(self.status, tuple) else (self.status,)
        told = [f"status {' or '.join(map(str, statuses))}"]
        told += [
            f"no {name}" if value is None else f"{name}: {value}"
            for name, value in self.wanted.items()
        ]
        return Case(
            self.id,
            area.name,
            self.section,
            self.level,
            self.description,
            f"The response has {', '.join(told)}.",
            self.run,
        )


def _check_101(t: Trial, response: Response, key: str) -> None:
    """Check what every 101 has (section 4.2.2)."""
    t.equal((response.get("Upgrade") or "").lower(), "websocket", "header Upgrade")
    t.equal((response.get("Connection") or "").lower(), "upgrade", "header Connection")
    t.equal(response.all("Sec-WebSocket-Accept"), [_accept(key.strip())], "Sec-WebSocket-Accept")
    for name in ("Content-Length", "Transfer-Encoding"):
        t.equal(response.get(name), None, f"header {name}")


_KEY_2 = "AQIDBAUGBwgJCgsMDQ4PEA=="
_NO_EXTRAS = {"Sec-WebSocket-Protocol": None, "Sec-WebSocket-Extensions": None}

_ACCEPTED = (
    _Row(
        "rfc-key",
        "1.3",
        "The RFC's example of a key.",
        wanted={"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", **_NO_EXTRAS},
    ),
    _Row("other-key", "4.2.2", "Another key.", headers={"Sec-WebSocket-Key": _KEY_2}),
    _Row(
        "key-with-spaces",
        "4.2.1",
        "White space around the key.",
        headers={"Sec-WebSocket-Key": f"  {_KEY_2} "},
    ),
    _Row("upgrade-mixed-case", "4.2.1", "Upgrade: WebSocket", headers={"Upgrade": "WebSocket"}),
    _Row(
        "upgrade-list",
        "4.2.1",
        "Upgrade: h2c, websocket",
        headers={"Upgrade": "h2c, websocket"},
    ),
    _Row(
        "connection-lower-case", "4.2.1", "Connection: upgrade", headers={"Connection": "upgrade"}
    ),
    _Row(
        "connection-list",
        "4.2.1",
        "Connection: keep-alive, Upgrade, as Firefox sends it.",
        headers={"Connection": "keep-alive, Upgrade"},
    ),
    _Row(
        "header-names-lower-case",
        "4.2.1",
        "The headers' names in lower case.",
        headers={"Upgrade": None, "Connection": None, "Sec-WebSocket-Version": None},
        lines="upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n",
    ),
    _Row("query", "4.2.1", "A request target with a query.", path="/echo?a=1&b=%20"),
    _Row("long-cookie", "4.2.1", "A Cookie of 8,000 bytes.", lines=f"Cookie: a={'x' * 8000}\r\n"),
    _Row(
        "many-headers",
        "4.2.1",
        "Fifty unknown headers.",
        lines="".join(f"X-Unknown-{index}: {index}\r\n" for index in range(50)),
    ),
    _Row(
        "latin-1-header", "4.2.1", "A header with bytes beyond ASCII.", lines="X-Name: Andr\xe9\r\n"
    ),
    _Row(
        "unknown-extension",
        "9.1",
        "An extension nobody knows is offered.",
        headers={"Sec-WebSocket-Extensions": "x-unknown; a=1, x-other"},
        wanted={"Sec-WebSocket-Extensions": None},
    ),
    _Row(
        "deflate-offered-but-off",
        "9.1",
        "permessage-deflate is offered, and is not configured.",
        headers={"Sec-WebSocket-Extensions": "permessage-deflate"},
        wanted={"Sec-WebSocket-Extensions": None},
    ),
    _Row(
        "protocol-not-supported",
        "4.2.2",
        "A subprotocol is offered where there are none.",
        headers={"Sec-WebSocket-Protocol": "chat"},
        wanted={"Sec-WebSocket-Protocol": None},
    ),
    _Row(
        "protocol-chosen",
        "4.2.2",
        "One of two subprotocols is offered.",
        headers={"Sec-WebSocket-Protocol": "superchat"},
        route=_PROTOCOLS,
        wanted={"Sec-WebSocket-Protocol": "superchat"},
    ),
    _Row(
        "protocol-first-common",
        "4.2.2",
        "Three are offered, the last two are supported.",
        headers={"Sec-WebSocket-Protocol": "mqtt, superchat, chat"},
        route=_PROTOCOLS,
        wanted={"Sec-WebSocket-Protocol": "superchat"},
    ),
    _Row(
        "protocol-several-lines",
        "4.2.2",
        "Subprotocols in two header lines.",
        lines="Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: chat\r\n",
        route=_PROTOCOLS,
        wanted={"Sec-WebSocket-Protocol": "chat"},
    ),
    _Row(
        "protocol-none-common",
        "4.2.2",
        "None of those offered is supported.",
        headers={"Sec-WebSocket-Protocol": "hyperchat, cha, chat2"},
        route=_PROTOCOLS,
        wanted={"Sec-WebSocket-Protocol": None},
    ),
    _Row(
        "protocol-case-matters",
        "4.2.2",
        "The name in another case.",
        headers={"Sec-WebSocket-Protocol": "CHAT"},
        route=_PROTOCOLS,
        wanted={"Sec-WebSocket-Protocol": None},
    ),
    _Row(
        "protocol-callable",
        "4.2.2",
        "Three are offered, and the route has a function that takes the last.",
        headers={"Sec-WebSocket-Protocol": "mqtt, superchat, chat"},
        route={"subprotocols": lambda offered, _: offered[-1]},
        wanted={"Sec-WebSocket-Protocol": "chat"},
    ),
    _Row(
        "body-empty", "4.2.1", "A request with a body of no bytes.", lines="Content-Length: 0\r\n"
    ),
    _Row("origin-same", "10.2", "The request's own origin.", headers={"Origin": "http://SAME"}),
    _Row(
        "missing-slash",
        "4.2.2",
        "The route /slash/ is asked for as /slash.",
        (101, 404),
        path="/slash",
        wanted={"Location": None},
    ),
)

_V13 = {"Sec-WebSocket-Version": "13"}

_REFUSED = (
    _Row("no-key", "4.2.1", "No Sec-WebSocket-Key.", 400, {"Sec-WebSocket-Key": None}),
    _Row(
        "short-key",
        "4.2.1",
        "A key of 15 bytes.",
        400,
        {"Sec-WebSocket-Key": "AQIDBAUGBwgJCgsMDQ4P"},
    ),
    _Row(
        "long-key",
        "4.2.1",
        "A key of 17 bytes.",
        400,
        {"Sec-WebSocket-Key": "AQIDBAUGBwgJCgsMDQ4PEBE="},
    ),
    _Row("key-not-base64", "4.2.1", "A key that is not base64.", 400, {"Sec-WebSocket-Key": "zzz"}),
    _Row("two-keys", "4.2.1", "Two keys.", 400, lines=f"Sec-WebSocket-Key: {_KEY_2}\r\n"),
    _Row(
        "no-version",
        "4.2.1",
        "No Sec-WebSocket-Version.",
        426,
        {"Sec-WebSocket-Version": None},
        _V13,
    ),
    _Row("version-8", "4.4", "Sec-WebSocket-Version: 8", 426, {"Sec-WebSocket-Version": "8"}, _V13),
    _Row(
        "version-14", "4.4", "Sec-WebSocket-Version: 14", 426, {"Sec-WebSocket-Version": "14"}, _V13
    ),
    _Row(
        "version-no-number",
        "4.4",
        "Sec-WebSocket-Version: abc",
        426,
        {"Sec-WebSocket-Version": "abc"},
        _V13,
    ),
    _Row("post", "4.2.1", "The method POST.", 405, method="POST", lines="Content-Length: 0\r\n"),
    _Row("head", "4.2.1", "The method HEAD.", 405, method="HEAD"),
    _Row("http-1-0", "4.2.1", "HTTP/1.0.", (400, 426, 505), version="HTTP/1.0"),
    _Row("no-host", "4.2.1", "No Host.", 400, {"Host": None}),
    _Row("body", "4.2.1", "A request with a body.", 400, lines="Content-Length: 2\r\n"),
    _Row(
        "chunked",
        "4.2.1",
        "A request with a chunked body.",
        400,
        lines="Transfer-Encoding: chunked\r\n",
    ),
    _Row(
        "no-upgrade",
        "4.2.1",
        "An ordinary GET for a WebSocket's path.",
        426,
        {"Upgrade": None, "Connection": "keep-alive"},
        {"Upgrade": "websocket"},
    ),
    _Row(
        "connection-without-upgrade",
        "4.2.1",
        "Upgrade, but Connection: keep-alive.",
        426,
        {"Connection": "keep-alive"},
    ),
    _Row("no-connection", "4.2.1", "Upgrade, but no Connection.", 426, {"Connection": None}),
    _Row("upgrade-to-another", "4.2.1", "Upgrade: h2c", 426, {"Upgrade": "h2c"}),
    _Row("unknown-path", "4.2.2", "A path that is no route.", 404, path="/nowhere"),
    _Row(
        "protocol-malformed",
        "4.1",
        "A subprotocol that is no token.",
        400,
        {"Sec-WebSocket-Protocol": "a b"},
    ),
    _Row(
        "protocol-not-offered",
        "4.2.2",
        "The route has a function that takes a subprotocol that was not offered.",
        500,
        {"Sec-WebSocket-Protocol": "mqtt"},
        {"Sec-WebSocket-Protocol": None},
        route={"subprotocols": lambda *_: "chat"},
    ),
    _Row(
        "extension-malformed",
        "9.1",
        "A malformed extension, where none is configured.",
        400,
        {"Sec-WebSocket-Extensions": "permessage-deflate; =10"},
    ),
    _Row("origin-foreign", "10.2", "Another origin.", 403, {"Origin": "https://evil.example"}),
    _Row("origin-null", "10.2", "The origin null.", 403, {"Origin": "null"}),
    _Row(
        "origin-other-port",
        "10.2",
        "The own host with another port.",
        403,
        {"Origin": "http://127.0.0.1:1"},
    ),
)

for _row in (*_ACCEPTED, *_REFUSED):
    area.add(_row.case())


@area.case("4.2.2")
def http_beside(t: Trial) -> None:
    """An ordinary request for a route that is not a WebSocket's.

    Expect: the app's response.
    """
    request = request_head("/http", {"Upgrade": None, "Connection": "close"})
    peer, response = t.ask(request)
    t.equal(response.status, 200, "status")
    t.equal(peer.read_body(), b"plain\n", "body")


@area.case("4.1", level="should")
def early_frame(t: Trial) -> None:
    """A frame in the same segment as the opening handshake, which a client must not send.

    Expect: the frame is not lost.
    """
    peer, response = t.ask(request_head("/echo"), early=text("early"))
    t.equal(response.status, 101, "status")
    peer.expect(Text("early"))


@area.case("4.1", level="should")
def early_half_frame(t: Trial) -> None:
    """Half a frame in the same segment as the opening handshake, then the other half.

    Expect: the message comes whole.
    """
    data = text("early and late")
    peer, response = t.ask(request_head("/echo"), early=data[:7])
    t.equal(response.status, 101, "status")
    peer.send(data[7:])
    peer.expect(Text("early and late"))


@area.case("4.2.2")
def refusals_are_complete(t: Trial) -> None:
    """A handshake is refused.

    Expect: a whole HTTP response, with a body of the length that is announced.
    """
    peer, response = t.ask(
        request_head("/echo", {"Sec-WebSocket-Key": None, "Connection": "Upgrade"})
    )
    length = int(response.get("Content-Length") or -1)
    t.equal(len(peer.read_body()), length, "the body's length")
