"""permessage-deflate: the negotiation of its parameters (RFC 7692 section 7.1)."""

from __future__ import annotations

import zlib
from typing import Final

from flask_threaded_sockets import WebSocket

from ..arrivals import Mismatch, Text
from ..case import Area, Case, Run
from ..peer import Peer
from ..trial import Trial, request_head
from ..wire import FIN, RSV1, TEXT, frame

__all__ = ["OFFER", "ON", "add_negotiation", "deflate"]

ON: Final = {"compression": True}
OFFER: Final = {"Sec-WebSocket-Extensions": "permessage-deflate"}

# Beyond any window: a repeat from 40,000 characters before.
_FAR = "".join(f"{index * 2654435761 % 2**32:08x}" for index in range(5000)) * 2


def deflate(data: bytes, bits: int = 15, level: int = 6) -> bytes:
    """Compress a message by itself (section 7.2.1).

    Args:
        data: the message.
        bits: the window.
        level: zlib's; 0: stored blocks.
    """
    # zlib has no window of 8 bits; what refers to nothing fits any.
    strategy = zlib.Z_HUFFMAN_ONLY if bits < 9 else zlib.Z_DEFAULT_STRATEGY
    packer = zlib.compressobj(level, zlib.DEFLATED, -max(bits, 9), strategy=strategy)
    packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
    return packed.removesuffix(b"\x00\x00\xff\xff")


def _answer(t: Trial, offer: str) -> dict[str, str] | None:
    """Give the parameters that the server answers an offer with; ``None``: declined."""
    site = t.site(ON)
    peer, response = t.ask(request_head("/echo", {"Sec-WebSocket-Extensions": offer}), site=site)
    t.equal(response.status, 101, "status")
    lines = response.all("Sec-WebSocket-Extensions")
    peer.leave()
    if not lines:
        return None
    t.true(len(lines) == 1 and "," not in lines[0], f"one extension, not {lines}")
    name, *parameters = (part.strip() for part in lines[0].split(";"))
    t.equal(name, "permessage-deflate", "extension")
    pairs = [part.partition("=")[::2] for part in parameters]
    t.true(len(dict(pairs)) == len(pairs), f"a parameter is repeated: {lines[0]}")
    return {key: value.strip('"') for key, value in pairs}


_DECLINED = (
    ("unknown-parameter", "permessage-deflate; unknown=1"),
    ("unknown-bits", "permessage-deflate; max_window_bits=10"),
    ("server-bits-7", "permessage-deflate; server_max_window_bits=7"),
    ("server-bits-16", "permessage-deflate; server_max_window_bits=16"),
    ("server-bits-leading-zero", "permessage-deflate; server_max_window_bits=010"),
    ("server-bits-no-number", "permessage-deflate; server_max_window_bits=many"),
    ("server-bits-without-value", "permessage-deflate; server_max_window_bits"),
    ("client-bits-7", "permessage-deflate; client_max_window_bits=7"),
    ("client-bits-16", "permessage-deflate; client_max_window_bits=16"),
    ("client-bits-leading-zero", "permessage-deflate; client_max_window_bits=010"),
    ("flag-with-value", "permessage-deflate; server_no_context_takeover=1"),
    ("repeated-flag", "permessage-deflate; server_no_context_takeover; server_no_context_takeover"),
    ("repeated-bits", "permessage-deflate; server_max_window_bits=10; server_max_window_bits=11"),
    ("other-name", "x-webkit-deflate-frame"),
)


def _declined(offer: str) -> Run:
    def run(t: Trial) -> None:
        t.equal(_answer(t, offer), None, f"the answer to {offer!r}")

    return run


def _accepted(t: Trial, offer: str) -> dict[str, str]:
    answer = _answer(t, offer)
    if answer is None:
        raise Mismatch(f"the offer {offer!r} was declined")
    return answer


def _window(bits: int) -> Run:
    def run(t: Trial) -> None:
        offer = f"permessage-deflate; server_max_window_bits={bits}"
        answer = _accepted(t, offer)
        agreed = int(answer.get("server_max_window_bits", "16"))
        t.true(8 <= agreed <= bits, f"server_max_window_bits={agreed} for an offer of {bits}")
        peer = t.connect(_send_far, config=ON, headers={"Sec-WebSocket-Extensions": offer})
        peer.expect(Text(_FAR), Text(_FAR[:1000]))

    return run


def smallest_window(t: Trial) -> None:
    """The client can inflate with a window of 8 bits, which many libraries cannot give.

    Expect: the offer is declined, or the answer has 8 bits and all messages keep to them.
    """
    offer = "permessage-deflate; server_max_window_bits=8"
    answer = _answer(t, offer)
    if answer is not None:
        t.equal(answer.get("server_max_window_bits"), "8", "server_max_window_bits")
    peer = t.connect(_send_far, config=ON, headers={"Sec-WebSocket-Extensions": offer})
    peer.expect(Text(_FAR), Text(_FAR[:1000]))


def _send_far(ws: WebSocket) -> None:
    ws.send(_FAR)
    ws.send(_FAR[:1000])


def _client_window(bits: int) -> Run:
    def run(t: Trial) -> None:
        offer = f"permessage-deflate; client_max_window_bits={bits}"
        answer = _accepted(t, offer)
        agreed = int(answer.get("client_max_window_bits", bits))
        t.true(8 <= agreed <= bits, f"client_max_window_bits={agreed} for an offer of {bits}")
        peer = t.connect(config=ON, headers={"Sec-WebSocket-Extensions": offer})
        peer.send(frame(FIN | RSV1 | TEXT, deflate(_FAR.encode(), agreed)))
        peer.expect(Text(_FAR))

    return run


def add_negotiation(area: Area) -> None:
    """Add the cases of negotiation to an area."""
    for name, offer in _DECLINED:
        area.add(
            Case(
                f"declines-{name}",
                area.name,
                "7.1",
                "must",
                f"The offer {offer!r}, which must be declined.",
                "A 101 without Sec-WebSocket-Extensions.",
                _declined(offer),
            )
        )
    for bits in range(9, 16):
        area.add(
            Case(
                f"server-window-{bits}",
                area.name,
                "7.1.2.1",
                "must",
                f"The client can inflate with a window of {bits} bits.",
                "The answer has as many bits or fewer, and all messages keep to them.",
                _window(bits),
            )
        )
    for bits in (8, 9, 10, 12, 15):
        area.add(
            Case(
                f"client-window-{bits}",
                area.name,
                "7.1.2.2",
                "must",
                f"The client hints that it compresses with a window of {bits} bits.",
                "The answer has as many bits or fewer, and what keeps to them is understood.",
                _client_window(bits),
            )
        )
    area.case("7.1")(accepts)
    area.case("7.1.2.1")(smallest_window)
    area.case("7.1.2.2")(client_bits_not_offered)
    area.case("7.1.1.1")(server_no_context_takeover)
    area.case("7.1.1.2", level="should")(client_no_context_takeover)
    area.case("5.1")(second_offer)
    area.case("RFC 6455 9.1")(quoted_value)
    area.case("RFC 6455 9.1")(offers_in_two_lines)
    area.case("RFC 6455 9.1")(malformed_offer)


def accepts(t: Trial) -> None:
    """permessage-deflate is offered without parameters.

    Expect: the answer names it once.
    """
    _accepted(t, "permessage-deflate")


def client_bits_not_offered(t: Trial) -> None:
    """The offer has no client_max_window_bits.

    Expect: neither has the answer.
    """
    answer = _accepted(t, "permessage-deflate; server_max_window_bits=10")
    t.true("client_max_window_bits" not in answer, f"the answer has it: {answer}")


def server_no_context_takeover(t: Trial) -> None:
    """The client asks the server not to take over its context.

    Expect: the answer agrees, and each message can be inflated by itself.
    """
    offer = "permessage-deflate; server_no_context_takeover"
    t.true("server_no_context_takeover" in _accepted(t, offer), "the answer does not agree")
    peer: Peer = t.connect(_send_twice, config=ON, headers={"Sec-WebSocket-Extensions": offer})
    t.true(peer.reset_inflater, "the answer does not agree")
    peer.expect(Text(_FAR[:3000]), Text(_FAR[:3000]))


def _send_twice(ws: WebSocket) -> None:
    ws.send(_FAR[:3000])
    ws.send(_FAR[:3000])


def client_no_context_takeover(t: Trial) -> None:
    """The client says that it will not take over its context.

    Expect: the answer agrees, which lets the server free its window.
    """
    answer = _accepted(t, "permessage-deflate; client_no_context_takeover")
    t.true("client_no_context_takeover" in answer, "the answer does not agree")


def second_offer(t: Trial) -> None:
    """An offer that must be declined, then a good one.

    Expect: the second is accepted.
    """
    answer = _accepted(t, "permessage-deflate; unknown, permessage-deflate")
    t.true("unknown" not in answer, f"the answer has the unknown parameter: {answer}")


def quoted_value(t: Trial) -> None:
    """A parameter's value is a quoted string.

    Expect: it counts as the same without quotes.
    """
    answer = _accepted(t, 'permessage-deflate; server_max_window_bits="10"')
    t.true(int(answer["server_max_window_bits"]) <= 10, f"the answer is {answer}")


def malformed_offer(t: Trial) -> None:
    """The header with the offers is not what the grammar allows.

    Expect: the response has the status 400.
    """
    headers = {"Sec-WebSocket-Extensions": "permessage-deflate; =10"}
    _, response = t.ask(request_head("/echo", headers), site=t.site(ON))
    t.equal(response.status, 400, "status")


def offers_in_two_lines(t: Trial) -> None:
    """The offers come in two header lines.

    Expect: they count as one list.
    """
    lines = "Sec-WebSocket-Extensions: x-a\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
    _, response = t.ask(request_head("/echo", lines=lines), site=t.site(ON))
    header = response.get("Sec-WebSocket-Extensions") or ""
    t.true(header.startswith("permessage-deflate"), f"the answer is {header!r}")
