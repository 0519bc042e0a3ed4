"""The same bytes to a backend's protocol and to the built-in one: the same outcome.

A test module of a distribution derives from :class:`Agreement` and names its protocol.
Reasons of failures are each library's own words and are not compared; nor is the reason
that may be echoed with a Close.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_threaded_sockets.backend import DeflateParameters, Protocol
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.codes import Opcode
from flask_threaded_sockets.events import Close, Event, Message

KEY = bytes.fromhex("37fa213d")

# More than any header, so that each one that is begun gets decided.
PADDING = bytes(16)

TEXTS = ["", "a", "Hello", "κόσμε", "\U0001f600" * 3, "x" * 126, "é" * 70000]
BAD_TEXTS = [b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ab\x80", b"\xe2\x82"]
CLOSE_BODIES = [
    b"",
    b"\x03",
    *(code.to_bytes(2, "big") for code in (999, 1000, 1001, 1004, 1005, 1006, 1014, 1015, 1016)),
    *(code.to_bytes(2, "big") + b"bye" for code in (1000, 2999, 3000, 4999, 5000)),
    b"\x03\xe8\xff",
    b"\x03\xe7\xff",  # both the code and the reason are bad
]


def mask(payload: bytes) -> bytes:
    return bytes(byte ^ KEY[index % 4] for index, byte in enumerate(payload))


def frame(first: int, payload: bytes = b"", *, masked: bool = True, width: int = 0) -> bytes:
    """Make a client's frame; ``width``: bytes of an extended length longer than needed."""
    bit = 0x80 if masked else 0
    length = len(payload)
    if length < 126 and not width:
        header = bytes([first, bit | length])
    elif length < 65536 and width < 8:
        header = bytes([first, bit | 126]) + length.to_bytes(2, "big")
    else:
        header = bytes([first, bit | 127]) + length.to_bytes(8, "big")
    return header + (KEY + mask(payload) if masked else payload)


def server_frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Parse what a server sent into first bytes and payloads."""
    position = 0
    while position < len(data):
        first, length = data[position], data[position + 1]
        position += 2
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(data[position : position + size], "big")
            position += size
        yield first, data[position : position + length]
        position += length


def outcome(protocol: Protocol, chunks: list[bytes]) -> tuple[list[Any], list[Any]]:
    """Deliver, end the stream, and give what is to be the same everywhere."""
    events: list[Event] = []
    sent = b""
    for chunk in chunks:
        protocol.receive_data(chunk)
        events += protocol.events()
        sent += b"".join(protocol.data_to_send())
    protocol.receive_eof()
    events += protocol.events()
    sent += b"".join(protocol.data_to_send())
    told: list[Any] = []
    for event in events:
        if isinstance(event, Close):
            told.append(
                ("close", int(event.code), event.clean, event.reason if event.clean else "")
            )
        elif isinstance(event, Message):
            told.append((type(event.data).__name__, event.data))
        else:
            told.append((type(event).__name__, bytes(event.payload)))
    frames = [(first, body[:2] if first == 0x88 else body) for first, body in server_frames(sent)]
    return told, frames


def without_pings(result: Any) -> Any:
    events, frames = result
    return [event for event in events if event[0] != "Ping"], frames


def either_fault(result: Any) -> Any:
    faults = {1007: "1007 or 1009", 1009: "1007 or 1009"}
    events, frames = result
    if events[-1][0] == "close" and not events[-1][2]:
        kind, code, *rest = events[-1]
        events = [*events[:-1], (kind, faults.get(code, code), *rest)]
        if frames and frames[-1][0] == 0x88:
            body = int.from_bytes(frames[-1][1], "big")
            frames = [*frames[:-1], (0x88, faults.get(body, body))]
    return events, frames


payloads = st.one_of(
    st.sampled_from([text.encode() for text in TEXTS[:-1]] + BAD_TEXTS), st.binary(max_size=40)
)
fragments = st.lists(payloads, min_size=1, max_size=4)
control = st.one_of(
    st.builds(lambda data: frame(0x89, data), st.binary(max_size=125)),
    st.builds(lambda data: frame(0x8A, data), st.binary(max_size=125)),
)
wild = st.builds(
    frame,
    st.sampled_from(
        [*range(0x80, 0x8C), 0x00, 0x01, 0x02, 0x08, 0x09, 0x8F, 0x83, 0xC1, 0xC0, 0xA1]
    ),
    payloads,
    masked=st.sampled_from([True, True, True, False]),
    width=st.sampled_from([0, 0, 0, 2, 8]),
)
closes = st.builds(lambda body: frame(0x88, body), st.sampled_from(CLOSE_BODIES))
deflates = st.builds(
    DeflateParameters,
    st.booleans(),
    st.booleans(),
    st.integers(9, 15),
    st.integers(9, 15),
)


@st.composite
def messages(draw: Any, client: BuiltinProtocol) -> bytes:
    """Give a message in fragments, with control frames between them."""
    opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
    parts = draw(fragments)
    compress = draw(st.booleans())
    out = b""
    for index, part in enumerate(parts):
        client.send_message(
            opcode if index == 0 else Opcode.CONTINUATION,
            part,
            fin=index == len(parts) - 1,
            compress=compress,
        )
        out += b"".join(client.data_to_send())
        if draw(st.integers(0, 3)) == 0:
            out += draw(control)
    return out


@st.composite
def streams(draw: Any, deflate: DeflateParameters | None) -> bytes:
    """Give a client's bytes: mostly valid, with violations, then perhaps damaged."""
    client = BuiltinProtocol(Role.CLIENT, deflate)
    out = b""
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["message"] * 6 + ["control", "wild", "close"]))
        if kind == "message":
            out += draw(messages(client))
        else:
            out += draw({"control": control, "wild": wild, "close": closes}[kind])
    if out and draw(st.integers(0, 3)) == 0:
        position = draw(st.integers(0, len(out) - 1))
        out = out[:position] + bytes([draw(st.integers(0, 255))]) + out[position + 1 :]
    return out


def cut(data: bytes, pieces: int, seed: int) -> list[bytes]:
    generator = random.Random(seed)
    places = sorted(generator.randrange(len(data) + 1) for _ in range(pieces))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


class Agreement:
    """The cases; a subclass says how to make its protocol."""

    make: Callable[..., Protocol]
    # Whether a compressed frame is judged when all of it is there, not as it comes.
    patient = False

    def check(
        self,
        data: bytes,
        chunks: list[bytes],
        deflate: DeflateParameters | None,
        limit: int | None,
        *,
        closing: bool = False,
    ) -> None:
        reference = BuiltinProtocol(Role.SERVER, deflate, limit)
        tried = type(self).make(deflate, limit)
        if closing:
            reference.send_close(1001, "going")
            tried.send_close(1001, "going")
        got, expected = outcome(tried, chunks), outcome(reference, [data])
        if closing:  # a Ping is not answered any more: whether it is told is nobody's affair
            got, expected = without_pings(got), without_pings(expected)
        if deflate and limit and got != expected:
            # Compressed data that is both too much and bad: what is met first depends on
            # the portions it is inflated in.
            got, expected = either_fault(got), either_fault(expected)
            if self.patient and got[0][-1][1] == 1006 and expected[0][-1][1] != 1006:
                return
        assert got == expected

    @settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_any_bytes_in_any_pieces_have_the_builtin_outcome(self, data: Any) -> None:
        deflate = data.draw(st.none() | deflates, "deflate")
        limit = data.draw(st.sampled_from([None, None, 1, 10, 126, 1000]), "limit")
        wire = data.draw(streams(deflate), "wire") + PADDING
        pieces = cut(wire, data.draw(st.integers(0, 12)), data.draw(st.integers(0, 999)))
        self.check(wire, pieces, deflate, limit, closing=data.draw(st.integers(0, 4)) == 0)

    @settings(deadline=None, max_examples=300)
    @given(st.binary(max_size=200), st.booleans())
    def test_random_bytes_have_the_builtin_outcome(self, data: bytes, deflated: bool) -> None:
        deflate = DeflateParameters() if deflated else None
        self.check(data + PADDING, [data, PADDING], deflate, 1 << 20)

    @settings(deadline=None, max_examples=150)
    @given(st.data())
    def test_what_it_sends_is_what_the_client_sent_for(self, data: Any) -> None:
        deflate = data.draw(st.none() | deflates)
        server, client = type(self).make(deflate, None), BuiltinProtocol(Role.CLIENT, deflate)
        expected: list[Any] = []
        for _ in range(data.draw(st.integers(1, 4))):
            text = data.draw(st.booleans())
            whole = data.draw(st.sampled_from(TEXTS)).encode()
            compress = data.draw(st.booleans())
            middle = data.draw(st.integers(0, len(whole)))
            opcode = Opcode.TEXT if text else Opcode.BINARY
            if data.draw(st.booleans()):
                server.send_message(opcode, whole, compress=compress)
            else:  # in two fragments, cut perhaps within a character
                server.send_message(opcode, whole[:middle], fin=False, compress=compress)
                server.send_ping(b"between")
                server.send_message(Opcode.CONTINUATION, memoryview(whole)[middle:], fin=True)
            client.receive_data(b"".join(server.data_to_send()))
            expected.append(whole.decode() if text else bytearray(whole))
        got = [event.data for event in client.events() if isinstance(event, Message)]
        assert got == expected
