"""Frames that break the protocol, and peers that vanish in the middle of anything."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from live import HOSTS, eventually, in_thread
from peer import BINARY, CLOSE, CONTINUATION, DEADLINE, PING, PONG, TEXT, bulk, close_frame, request
from wire import bytewise, frame, wire

from flask_threaded_sockets import WebSocketError
from flask_threaded_sockets.backend import Feature

# id, wire, close code, RFC 6455 section.
VIOLATIONS = [
    ("unmasked text", frame(TEXT, b"a", key=None), 1002, "5.1"),
    ("unmasked empty binary", frame(BINARY, key=None), 1002, "5.1"),
    ("unmasked close", frame(CLOSE, key=None), 1002, "5.1"),
    ("unmasked ping", frame(PING, key=None), 1002, "5.1"),
    ("RSV1 without extension", frame(0xC1, b"a"), 1002, "5.2"),
    ("RSV2", frame(0xA1, b"a"), 1002, "5.2"),
    ("RSV3", frame(0x91, b"a"), 1002, "5.2"),
    ("RSV1 on a ping", frame(0xC9), 1002, "5.2"),
    ("RSV1 on a close", frame(0xC8), 1002, "5.2"),
    *((f"opcode {n:#x}", frame(0x80 | n, b"a"), 1002, "5.2") for n in (3, 4, 5, 6, 7)),
    *((f"opcode {n:#x}", frame(0x80 | n), 1002, "5.2") for n in (0xB, 0xC, 0xD, 0xE, 0xF)),
    (
        "length with its highest bit",
        wire("82 ff", "80 00 00 00 00 00 00 01", "00 00 00 00"),
        1002,
        "5.2",
    ),
    ("fragmented ping", frame(0x09, b"a"), 1002, "5.5"),
    ("fragmented pong", frame(0x0A, b"a"), 1002, "5.5"),
    ("fragmented close", frame(0x08, b"\x03\xe8"), 1002, "5.5"),
    ("ping of 126 bytes", frame(PING, b"x" * 126), 1002, "5.5"),
    ("pong of 126 bytes", frame(PONG, b"x" * 126), 1002, "5.5"),
    ("close of 126 bytes", frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002, "5.5"),
    ("ping of 65,536 bytes", bulk(PING, bytes(65536)), 1002, "5.5"),
    ("continuation of nothing", frame(CONTINUATION, b"a"), 1002, "5.4"),
    ("fragment of nothing", frame(0x00, b"a"), 1002, "5.4"),
    ("message within a message", frame(0x01, b"a") + frame(TEXT, b"b"), 1002, "5.4"),
    ("fragment within a message", frame(0x01, b"a") + frame(0x02, b"b"), 1002, "5.4"),
    ("close of one byte", frame(CLOSE, b"\x03"), 1002, "5.5.1"),
    *(
        (f"close with {code}", close_frame(code), 1002, "7.4")
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
    ("close reason of no utf-8", close_frame(1000, b"\xff"), 1007, "5.5.1"),
    ("close reason cut in a character", close_frame(1000, b"\xc3"), 1007, "5.5.1"),
    ("text of no utf-8", frame(TEXT, b"\xff"), 1007, "5.6"),
    ("text cut in a character", frame(TEXT, b"\xc3"), 1007, "5.6"),
    ("overlong utf-8", frame(TEXT, b"\xc0\xaf"), 1007, "5.6"),
    ("a surrogate", frame(TEXT, b"\xed\xa0\x80"), 1007, "5.6"),
    ("beyond unicode", frame(TEXT, b"\xf4\x90\x80\x80"), 1007, "5.6"),
    (
        "bad utf-8 in the last fragment",
        frame(0x01, b"ok") + frame(CONTINUATION, b"\xff"),
        1007,
        "5.6",
    ),
    (
        "character cut at the last fragment",
        frame(0x01, b"\xe2") + frame(CONTINUATION, b"\x82"),
        1007,
        "5.6",
    ),
    (
        "bad utf-8 across fragments",
        frame(0x01, b"\xf4") + frame(CONTINUATION, b"\x90\x80\x80"),
        1007,
        "5.6",
    ),
]


@pytest.mark.parametrize("delivery", ["at once", "byte by byte"])
@pytest.mark.parametrize(
    ("data", "code"), [row[1:3] for row in VIOLATIONS], ids=[row[0] for row in VIOLATIONS]
)
def test_violation_fails_the_connection_with_its_code(pair, data, code, delivery):
    ws, peer = pair()
    peer.send(frame(TEXT, b"before"))
    assert ws.receive(DEADLINE) == "before"
    if delivery == "byte by byte" and len(data) < 1000:
        with contextlib.suppress(ConnectionError):  # it may fail at the first byte
            for byte in bytewise(data):
                peer.send(byte)
    else:
        peer.send(data)
    assert ws.receive(DEADLINE) is None
    assert ws.close_code == code
    close, *more = peer.frames_to_end()
    assert more == []
    assert (close.first, int.from_bytes(close.payload[:2])) == (CLOSE, code)
    assert len(close.payload) <= 125
    close.payload[2:].decode()


@pytest.mark.parametrize(
    ("data", "code"), [row[1:3] for row in VIOLATIONS][::4], ids=[row[0] for row in VIOLATIONS][::4]
)
def test_violation_is_noticed_though_nobody_receives(pair, data, code):
    ws, peer = pair()
    peer.send(data)
    eventually(lambda: ws.closed)
    assert ws.close_code == code
    assert peer.frames_to_end()[0].payload[:2] == code.to_bytes(2)


@pytest.mark.needs(Feature.FAIL_FAST_UTF8)
@pytest.mark.parametrize(
    "data",
    [
        frame(0x01, b"fine" + b"\xff" + b"x" * 20),
        frame(0x01, b"\xf4") + frame(0x00, b"\x90"),
        frame(TEXT, b"\xff" + b"x" * 5000)[:200],
    ],
    ids=["in a fragment", "at a later fragment", "within a frame"],
)
def test_bad_utf8_fails_at_once_and_not_at_the_end_of_the_message(pair, data):
    ws, peer = pair()
    peer.send(data)
    assert ws.receive(DEADLINE) is None
    assert ws.close_code == 1007


def test_frames_behind_a_violation_are_not_taken(pair):
    ws, peer = pair()
    peer.send(frame(TEXT, b"\xff"), frame(TEXT, b"behind"), frame(PING))
    assert ws.receive(DEADLINE) is None
    assert [each.first for each in peer.frames_to_end()] == [CLOSE]


# Peers that vanish

CONVERSATION = b"".join(
    [
        request(),
        frame(TEXT, b"Hello"),
        frame(PING, b"ping"),
        frame(0x02, b"frag"),
        frame(PONG),
        frame(CONTINUATION, b"ment"),
        frame(TEXT),
        close_frame(1000, b"bye"),
    ]
)


def echo(ws):
    while not ws.closed:
        ws.send(ws.receive())


@pytest.mark.parametrize("host", HOSTS, indirect=True)
@pytest.mark.parametrize("ending", ["close", "half_close", "reset"])
def test_peer_vanishes_after_each_byte_of_a_conversation(serve, host, ending):
    live = serve(echo)
    # Half a request line is an error of its own in Werkzeug's eyes.
    first = 0 if host == "own" else len(request())
    for cut in range(first, len(CONVERSATION) + 1):
        with live.connect() as peer:
            peer.send(CONVERSATION[:cut])
            getattr(peer, ending)()
            if ending == "half_close":
                with contextlib.suppress(ConnectionResetError):
                    peer.to_end()
    assert live.get("/")[0].status == 426


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_peer_vanishes_while_a_large_message_is_sent_to_it(pair, ending):
    ws, peer = pair(receive_buffer=4096)
    sending = in_thread(ws.send, bytes(16 << 20))
    peer.read(100)
    getattr(peer, ending)()
    with pytest.raises(WebSocketError) as caught:
        sending.result()
    assert caught.value.ws is ws
    assert ws.closed


@pytest.mark.parametrize("ending", ["close", "half_close", "reset"])
def test_peer_vanishes_in_the_middle_of_a_large_message(pair, ending):
    ws, peer = pair()
    receiver = in_thread(ws.receive)
    peer.send(bulk(BINARY, bytes(1 << 20))[: 1 << 19])
    getattr(peer, ending)()
    assert receiver.result() is None
    assert ws.close_code == 1006


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_peer_vanishes_after_our_close(pair, ending):
    ws, peer = pair(SOCKETS_CLOSE_TIMEOUT=60)
    ws.close(3000)
    peer.frame()
    getattr(peer, ending)()
    assert ws.close_code == 3000


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_many_peers_come_and_vanish_at_once(serve):
    live = serve(echo)
    endings = itertools.cycle(["close", "reset"])

    def churn():
        for ending, _ in zip(endings, range(60), strict=False):
            peer = live.open()
            peer.text("x")
            getattr(peer, ending)()

    for thread in [in_thread(churn) for _ in range(4)]:
        thread.result()
    assert live.get("/")[0].status == 426


def test_peer_that_pings_and_never_reads_does_not_fill_our_memory(pair):
    ws, peer = pair(receive_buffer=4096, SOCKETS_PING_INTERVAL=None)
    peer.sock.settimeout(1)
    with pytest.raises(TimeoutError):  # at some point we stop reading
        peer.send(frame(PING, b"x" * 125, bytes(4)) * 400_000)  # 52 MB
    assert not ws.closed
