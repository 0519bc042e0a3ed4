"""What ``WebSocket.send``, ``send_frame`` and ``ping`` put on the wire."""

from __future__ import annotations

import array
import ctypes

import pytest
from live import eventually
from peer import BINARY, CLOSE, DEADLINE, PING, PONG, TEXT, Frame, close_frame
from wire import frame, wire

from flask_threaded_sockets import ProtocolError, WebSocket, WebSocketError

WORDS = array.array("H", [0x0102, 0x0304])

# id, message, binary=, the frame's bytes.
SENT = [
    ("text", "Hello", None, wire("81 05", "48 65 6c 6c 6f")),
    ("empty text", "", None, wire("81 00")),
    ("empty binary", b"", None, wire("82 00")),
    ("text beyond ascii", "é\U0001f600", None, wire("81 06", "c3 a9 f0 9f 98 80")),
    ("bytes", b"\x00\xff", None, wire("82 02", "00 ff")),
    ("bytearray", bytearray(b"ab"), None, wire("82 02", "61 62")),
    ("memoryview", memoryview(b"abc")[1:], None, wire("82 02", "62 63")),
    ("memoryview with gaps", memoryview(b"abcd")[::2], None, wire("82 02", "61 63")),
    (
        "memoryview in two dimensions",
        memoryview(b"abcd").cast("B", (2, 2)),
        None,
        wire("82 04", "61 62 63 64"),
    ),
    ("empty array", array.array("H"), None, wire("82 00")),
    ("no rows of three", (ctypes.c_int * 3 * 0)(), None, wire("82 00")),
    ("array", WORDS, None, b"\x82\x04" + WORDS.tobytes()),
    ("text as binary", "é", True, wire("82 02", "c3 a9")),
    ("text as text", "a", False, wire("81 01", "61")),
    ("bytes as text", "é".encode(), False, wire("81 02", "c3 a9")),
    ("bytes as binary", b"a", True, wire("82 01", "61")),
    ("array as text", array.array("B", b"ab"), False, wire("81 02", "61 62")),
    ("empty bytes as text", b"", False, wire("81 00")),
    ("125 bytes", b"x" * 125, None, wire("82 7d") + b"x" * 125),
    ("126 bytes", b"x" * 126, None, wire("82 7e", "00 7e") + b"x" * 126),
    ("65,535 bytes", b"x" * 65535, None, wire("82 7e", "ff ff") + b"x" * 65535),
    ("65,536 bytes", b"x" * 65536, None, wire("82 7f", "00 00 00 00 00 01 00 00") + b"x" * 65536),
    (
        "65,536 bytes of text",
        "x" * 65536,
        None,
        wire("81 7f", "00 00 00 00 00 01 00 00") + b"x" * 65536,
    ),
]


@pytest.mark.parametrize(
    ("message", "binary", "data"), [row[1:] for row in SENT], ids=[row[0] for row in SENT]
)
def test_message_is_one_frame(pair, message, binary, data):
    ws, peer = pair()
    ws.send(message, binary)
    ws.send("behind")
    assert peer.read(len(data)) == data
    assert peer.frame() == Frame(TEXT, b"behind")


def test_message_sent_is_not_changed(pair):
    ws, peer = pair()
    message = bytearray(b"a" * 100_000)
    ws.send(message)
    assert peer.frame() == Frame(BINARY, bytes(100_000).replace(b"\0", b"a"))
    assert message == b"a" * 100_000


def test_buffer_may_be_used_again_after_send(pair):
    ws, peer = pair()
    message = bytearray(b"first" * 20_000)
    ws.send(message)
    message[:5] = b"again"
    assert peer.frame().payload == b"first" * 20_000


NO_MESSAGES = [None, 5, 1.5, {1}, ["a"], {"a": 1}, ("a",)]


@pytest.mark.parametrize("message", NO_MESSAGES, ids=lambda message: type(message).__name__)
def test_other_types_are_a_type_error_on_an_open_socket(pair, message):
    ws, peer = pair()
    with pytest.raises(TypeError, match=type(message).__name__):
        ws.send(message)
    with pytest.raises(TypeError, match=type(message).__name__):
        ws.send_frame(message, ws.OPCODE_BINARY)
    ws.send("still open")
    assert peer.frame() == Frame(TEXT, b"still open")


@pytest.mark.parametrize("message", ["text", b"bytes", *NO_MESSAGES], ids=repr)
def test_every_message_is_a_websocket_error_on_a_closed_socket(pair, message):
    # The seed's echo loop ends with send(None) on a closed socket.
    ws, _ = pair()
    ws.close()
    with pytest.raises(WebSocketError, match=r"^Connection is already closed$") as caught:
        ws.send(message)
    assert caught.value.ws is ws


@pytest.mark.parametrize("message", [b"\xff\xfe", bytearray(b"a\x80"), memoryview(b"\xc3")])
def test_bytes_that_are_no_utf8_are_not_sent_as_text(pair, message):
    ws, peer = pair()
    with pytest.raises(ValueError, match="utf-8"):
        ws.send(message, binary=False)
    with pytest.raises(ValueError, match="utf-8"):
        ws.send_frame(message, ws.OPCODE_TEXT)
    ws.send(b"behind")
    assert peer.frame() == Frame(BINARY, b"behind")


def test_text_that_cannot_be_encoded_is_not_sent(pair):
    ws, peer = pair()
    with pytest.raises(ValueError, match="surrogates"):
        ws.send("\ud800")
    ws.send("behind")
    assert peer.frame() == Frame(TEXT, b"behind")


# Frames

OPCODES = {
    "OPCODE_CONTINUATION": 0x0,
    "OPCODE_TEXT": 0x1,
    "OPCODE_BINARY": 0x2,
    "OPCODE_CLOSE": 0x8,
    "OPCODE_PING": 0x9,
    "OPCODE_PONG": 0xA,
}


def test_opcodes_are_constants_of_the_class(pair):
    ws, _ = pair()
    assert {name: getattr(WebSocket, name) for name in OPCODES} == OPCODES
    assert {name: getattr(ws, name) for name in OPCODES} == OPCODES


# id, message, opcode, the frame's bytes.
FRAMES = [
    ("text", "é", 0x1, wire("81 02", "c3 a9")),
    ("bytes as text", b"a", 0x1, wire("81 01", "61")),
    ("binary", b"a", 0x2, wire("82 01", "61")),
    ("text as binary", "a", 0x2, wire("82 01", "61")),
    ("array as binary", WORDS, 0x2, b"\x82\x04" + WORDS.tobytes()),
    ("empty ping", b"", 0x9, wire("89 00")),
    ("ping", b"Hello", 0x9, wire("89 05", "48 65 6c 6c 6f")),
    ("text in a ping", "é", 0x9, wire("89 02", "c3 a9")),
    ("longest ping", b"x" * 125, 0x9, wire("89 7d") + b"x" * 125),
    ("pong", b"Hello", 0xA, wire("8a 05", "48 65 6c 6c 6f")),
    ("array in a pong", WORDS, 0xA, b"\x8a\x04" + WORDS.tobytes()),
]


@pytest.mark.parametrize(
    ("message", "opcode", "data"), [row[1:] for row in FRAMES], ids=[row[0] for row in FRAMES]
)
def test_send_frame_sends_one_final_frame(pair, message, opcode, data):
    ws, peer = pair()
    ws.send_frame(message, opcode)
    ws.send("behind")
    assert peer.read(len(data)) == data
    assert peer.frame() == Frame(TEXT, b"behind")


# id, body, the frame's bytes, close code.
CLOSE_FRAMES = [
    ("nothing", b"", wire("88 00"), 1005),
    ("a code", b"\x03\xe8", wire("88 02", "03 e8"), 1000),
    ("code and reason", b"\x0b\xb8bye", wire("88 05", "0b b8", "62 79 65"), 3000),
    ("longest", b"\x03\xe8" + b"x" * 123, wire("88 7d", "03 e8") + b"x" * 123, 1000),
]


@pytest.mark.parametrize(
    ("body", "data", "code"),
    [row[1:] for row in CLOSE_FRAMES],
    ids=[row[0] for row in CLOSE_FRAMES],
)
def test_send_frame_sends_a_close(pair, body, data, code):
    ws, peer = pair()
    ws.send_frame(body, ws.OPCODE_CLOSE)
    assert peer.read(len(data)) == data
    assert ws.closed
    assert ws.close_code == code
    with pytest.raises(WebSocketError):
        ws.send("too late")


# id, body, opcode.
REFUSED = [
    ("ping of 126 bytes", b"x" * 126, 0x9),
    ("pong of 126 bytes", "x" * 126, 0xA),
    ("close of 126 bytes", b"\x03\xe8" + b"x" * 124, 0x8),
    ("close of one byte", b"\x03", 0x8),
    ("close with 999", b"\x03\xe7", 0x8),
    ("close with 1005", b"\x03\xed", 0x8),
    ("close with 1006", b"\x03\xee", 0x8),
    ("close with 1015", b"\x03\xf7", 0x8),
    ("close with 2999", b"\x0b\xb7", 0x8),
    ("close with 5000", b"\x13\x88", 0x8),
    ("close reason that is no utf-8", b"\x03\xe8\xff", 0x8),
    ("continuation of nothing", b"x", 0x0),
]


@pytest.mark.parametrize(
    ("message", "opcode"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_send_frame_refuses_a_frame_that_would_break_the_protocol(pair, message, opcode):
    ws, peer = pair()
    with pytest.raises(ProtocolError) as caught:
        ws.send_frame(message, opcode)
    assert caught.value.ws is ws
    assert not ws.closed
    ws.send("still open")
    assert peer.frame() == Frame(TEXT, b"still open")


@pytest.mark.parametrize("opcode", [0x3, 0x7, 0xB, 0xF, 0x10, -1])
def test_send_frame_refuses_a_reserved_opcode(pair, opcode):
    ws, peer = pair()
    with pytest.raises(ValueError, match=str(opcode)):
        ws.send_frame(b"", opcode)
    ws.send("still open")
    assert peer.frame() == Frame(TEXT, b"still open")


@pytest.mark.parametrize("opcode", [0x0, 0x1, 0x2, 0x8, 0x9, 0xA])
@pytest.mark.parametrize("message", [b"", None], ids=["bytes", "None"])
def test_send_frame_on_a_closed_socket_is_an_error(pair, opcode, message):
    ws, peer = pair()
    peer.send(close_frame())
    eventually(lambda: ws.closed)
    with pytest.raises(WebSocketError, match=r"^Connection is already closed$") as caught:
        ws.send_frame(message, opcode)
    assert caught.value.ws is ws


def test_ping_is_sent_and_its_pong_taken(pair):
    ws, peer = pair()
    ws.ping()
    ws.ping("né")
    assert [peer.frame(), peer.frame()] == [Frame(PING, b""), Frame(PING, b"n\xc3\xa9")]
    peer.send(frame(PONG), frame(PONG, b"n\xc3\xa9"), frame(TEXT, b"behind"))
    assert ws.receive(DEADLINE) == "behind"


def test_same_ping_may_be_sent_twice(pair):
    ws, peer = pair()
    ws.ping(b"same")
    ws.ping(b"same")
    assert [peer.frame(), peer.frame()] == [Frame(PING, b"same")] * 2


def test_ping_longer_than_a_control_frame_is_refused(pair):
    ws, _ = pair()
    with pytest.raises(ProtocolError, match="126 bytes exceeds limit of 125 bytes"):
        ws.ping(b"x" * 126)


@pytest.mark.parametrize("ending", ["close", "half_close", "reset"])
def test_sending_to_a_peer_that_is_gone_is_an_error(pair, ending):
    ws, peer = pair()
    getattr(peer, ending)()
    eventually(lambda: ws.closed)
    with pytest.raises(WebSocketError) as caught:
        ws.send("anybody?")
    assert caught.value.ws is ws
    assert ws.close_code == 1006


def test_sending_finds_out_that_the_peer_is_gone(pair):
    ws, peer = pair()
    peer.reset()

    def fails():
        try:
            ws.send("anybody?")
        except WebSocketError as error:
            return error.ws is ws
        return False

    eventually(fails)
    assert ws.closed


def test_peers_close_is_answered_behind_what_was_sent(pair):
    ws, peer = pair()
    ws.send("last words")
    peer.send(close_frame(3333, b"bye"))
    assert peer.frames_to_end() == [Frame(TEXT, b"last words"), Frame(CLOSE, b"\x0d\x05")]
