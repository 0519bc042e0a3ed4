"""What is sent, byte for byte: RFC 6455 section 5.7 first."""

from __future__ import annotations

from typing import Any

import pytest
from wire import mask, wire

from flask_threaded_sockets.backend import Buffer, DeflateParameters, SharedPayload
from flask_threaded_sockets.codec import Role
from flask_threaded_sockets.codec.masking import PURE
from flask_threaded_sockets.codec.sender import Sender
from flask_threaded_sockets.exceptions import LocalProtocolError

KIB = 1024


def sender(role: Role = Role.SERVER, *, deflate: bool = False) -> Sender:
    return Sender(role, DeflateParameters() if deflate else None, PURE)


def sent(of: Sender) -> bytes:
    output = b"".join(of.output)
    of.output.clear()
    return output


def test_a_text_message_is_sent_in_one_frame() -> None:
    server = sender()
    server.send_data(1, b"Hello", fin=True, compress=True)
    assert server.output == [wire("81 05", "48 65 6c 6c 6f")]


def test_a_fragmented_message_is_sent() -> None:
    server = sender()
    server.send_data(1, b"Hel", fin=False, compress=True)
    server.send_control(9, b"Hello")
    server.send_data(0, b"lo", fin=True, compress=True)
    assert server.output == [
        wire("01 03", "48 65 6c"),
        wire("89 05", "48 65 6c 6c 6f"),
        wire("80 02", "6c 6f"),
    ]


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, "82 00"),
        (125, "82 7d"),
        (126, "82 7e 007e"),
        (256, "82 7e 0100"),
        (65535, "82 7e ffff"),
        (65536, "82 7f 0000000000010000"),
    ],
)
def test_a_length_is_sent_in_the_fewest_bytes(length: int, header: str) -> None:
    server = sender()
    server.send_data(2, bytes(length), fin=True, compress=True)
    assert sent(server) == wire(header) + bytes(length)


def test_a_large_payload_is_not_copied() -> None:
    server = sender()
    payload = bytearray(17 * KIB)
    server.send_data(2, payload, fin=True, compress=True)
    assert server.output[0] == wire("82 7e 4400")
    assert server.output[1] is payload


def test_a_small_payload_is_joined_to_its_header() -> None:
    server = sender()
    server.send_data(2, bytearray(16 * KIB), fin=True, compress=True)
    assert server.output == [wire("82 7e 4000") + bytes(16 * KIB)]
    assert type(server.output[0]) is bytes


@pytest.mark.parametrize("length", [0, 5, 125, 126, 16 * KIB, 16 * KIB + 1, 70_000])
def test_a_shared_payload_is_encoded_once_for_all_who_send_it(length: int) -> None:
    payload, senders = SharedPayload(length), [sender() for _ in range(3)]
    for one in senders:
        one.send_data(1, payload, fin=True, compress=True)
    first, *others = (one.output for one in senders)
    header, *rest = first
    for output in others:
        assert output[0] is header or length > 16 * KIB
        assert all(a is b for a, b in zip(output[1:], rest, strict=True))
    plain = sender()
    plain.send_data(1, bytes(length), fin=True, compress=True)
    assert b"".join(first) == sent(plain)
    assert sent(senders[1]) == b"".join(first)


def test_a_shared_payload_may_be_sent_as_something_else_as_well() -> None:
    payload, server = SharedPayload(b"Hello"), sender()
    server.send_data(1, payload, fin=True, compress=True)
    server.send_data(2, payload, fin=False, compress=True)
    server.send_data(0, payload, fin=True, compress=True)
    assert [part[0] for part in server.output] == [0x81, 0x02, 0x80]
    assert [part[1:] for part in server.output] == [wire("05", "48 65 6c 6c 6f")] * 3


def test_a_shared_payload_is_masked_and_compressed_for_each_alone() -> None:
    payload = SharedPayload(b"Hello" * 10)
    for _ in range(2):
        client = sender(Role.CLIENT)
        client.send_data(1, payload, fin=True, compress=True)
        (frame,) = client.output
        assert mask(frame[6:], frame[2:6]) == payload
    server = sender(deflate=True)
    for _ in range(2):
        server.send_data(1, payload, fin=True, compress=True)
    assert server.output[0][0] == 0xC1
    assert server.output[0] != server.output[1]  # the second refers to the first
    assert payload.frame is None


@pytest.mark.parametrize("count", [0, 3, 10_000])
@pytest.mark.parametrize("role", Role)
def test_any_view_is_sent_as_its_bytes(count: int, role: Role) -> None:
    numbers = memoryview(bytes(range(8)) * count).cast("B")
    wide = numbers.cast("d") if count else numbers
    views: list[Any] = [numbers, wide, numbers[::2]]
    for view in views:
        of = sender(role)
        of.send_data(2, view, fin=True, compress=True)
        output = sent(of)
        if role is Role.CLIENT:
            start = len(output) - view.nbytes
            assert mask(output[start:], output[start - 4 : start]) == view.tobytes()
        else:
            assert output[len(output) - view.nbytes :] == view.tobytes()
            assert len(output) - view.nbytes <= 10


def test_a_client_masks_each_frame_with_a_key_of_its_own() -> None:
    client = sender(Role.CLIENT)
    keys = set()
    for _ in range(20):
        client.send_data(1, b"Hello", fin=True, compress=True)
        client.send_control(9, b"Hello")
        for output in map(bytes, client.output):
            assert output[:2] in (wire("81 85"), wire("89 85"))
            keys.add(output[2:6])
            assert mask(output[6:], output[2:6]) == b"Hello"
        client.output.clear()
    assert len(keys) == 40


def test_a_client_does_not_change_a_large_payload() -> None:
    client = sender(Role.CLIENT)
    payload = bytearray(b"x" * 70_000)
    client.send_data(2, payload, fin=True, compress=True)
    assert payload == b"x" * 70_000
    output = sent(client)
    assert output[:10] == wire("82 ff 0000000000011170")
    assert mask(output[14:], output[10:14]) == payload


def test_rsv1_is_set_on_the_first_frame_of_a_compressed_message_only() -> None:
    server = sender(deflate=True)
    server.send_data(1, b"Hello", fin=False, compress=True)
    server.send_data(0, b"Hello", fin=False, compress=True)
    server.send_control(9, b"")
    server.send_data(0, b"Hello", fin=True, compress=True)
    assert [bytes(output)[0] for output in server.output] == [0x41, 0x00, 0x89, 0x80]


def test_a_message_may_go_uncompressed_where_compression_was_agreed() -> None:
    server = sender(deflate=True)
    server.send_data(1, b"Hel", fin=False, compress=False)
    server.send_data(0, b"lo", fin=True, compress=True)
    assert sent(server) == wire("01 03 48656c", "80 02 6c6f")
    server.send_data(1, b"Hello", fin=True, compress=True)
    assert sent(server)[0] == 0xC1


def test_nothing_is_compressed_where_it_was_not_agreed() -> None:
    server = sender()
    server.send_data(1, b"Hello", fin=True, compress=True)
    assert sent(server) == wire("81 05 48656c6c6f")


@pytest.mark.parametrize("opcode", [3, 7, 8, 9, 10, 15, 16, -1])
def test_an_opcode_that_is_not_a_data_frames_is_refused(opcode: int) -> None:
    server = sender()
    with pytest.raises(LocalProtocolError, match="not a data frame's"):
        server.send_data(opcode, b"", fin=True, compress=True)
    assert server.output == []


def test_a_continuation_without_a_message_is_refused_and_changes_nothing() -> None:
    server = sender()
    with pytest.raises(LocalProtocolError, match="without a message"):
        server.send_data(0, b"lo", fin=True, compress=True)
    server.send_data(1, b"", fin=True, compress=True)
    with pytest.raises(LocalProtocolError, match="without a message"):
        server.send_data(0, b"lo", fin=True, compress=True)
    assert sent(server) == wire("81 00")


def test_a_message_within_a_message_is_refused_and_changes_nothing() -> None:
    server = sender()
    server.send_data(1, b"Hel", fin=False, compress=True)
    with pytest.raises(LocalProtocolError, match="within a fragmented message"):
        server.send_data(2, b"x", fin=True, compress=True)
    server.send_data(0, b"lo", fin=True, compress=True)
    assert sent(server) == wire("01 03 48656c", "80 02 6c6f")


@pytest.mark.parametrize("deflate", [False, True])
def test_a_payload_that_is_not_bytes_raises_and_changes_nothing(deflate: bool) -> None:
    server = sender(deflate=deflate)
    payload: Buffer = "Hello"  # type: ignore[assignment]
    with pytest.raises(TypeError):
        server.send_data(1, payload, fin=False, compress=True)
    server.send_data(1, b"Hello", fin=True, compress=False)
    assert sent(server) == wire("81 05 48656c6c6f")
