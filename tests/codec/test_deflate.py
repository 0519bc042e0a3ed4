"""RFC 7692 section 7.2: its examples first, then windows, contexts, bombs and garbage."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import bytewise, wire

from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.codec import Role
from flask_threaded_sockets.codec.deflate import Deflater, Inflater, deflater_for, inflater_for
from flask_threaded_sockets.exceptions import RemoteProtocolError


def inflate(inflater: Inflater, *payloads: bytes) -> bytes:
    pieces = [piece for payload in payloads for piece in inflater.inflate(payload)]
    return b"".join([*pieces, *inflater.finish()])


EXAMPLES = [
    # id, messages' fragments, rfc
    ("one block", [["f248cdc9c90700"]], "7.2.3.1"),
    ("two frames", [["f248cd", "c9c90700"]], "7.2.3.1"),
    ("shared window", [["f248cdc9c90700"], ["f200110000"]], "7.2.3.2"),
    ("no compression", [["000500faff48656c6c6f00"]], "7.2.3.3"),
    ("bfinal", [["f348cdc9c9070000"]], "7.2.3.4"),
    ("two blocks", [["f248050000 00ffffcac9c90700"]], "7.2.3.5"),
]


@pytest.mark.parametrize(("name", "messages", "rfc"), EXAMPLES, ids=[row[0] for row in EXAMPLES])
def test_the_examples_of_the_rfc_are_inflated(
    name: str, messages: list[list[str]], rfc: str
) -> None:
    inflater = Inflater(15, no_context_takeover=False)
    for fragments in messages:
        assert inflate(inflater, *map(wire, fragments)) == b"Hello"


@pytest.mark.parametrize("payload", ["00", ""], ids=["RFC 7692 section 7.2.3.6", "nothing at all"])
def test_an_empty_message_is_inflated(payload: str) -> None:
    inflater = Inflater(15, no_context_takeover=False)
    assert inflate(inflater, wire(payload)) == b""
    assert inflate(inflater, wire("f248cdc9c90700")) == b"Hello"


@pytest.mark.parametrize("payload", ["f348cdc9c90700 00", "f348cdc9c90700"], ids=["00", "without"])
def test_messages_go_on_after_a_last_block(payload: str) -> None:
    inflater = Inflater(15, no_context_takeover=False)
    for _ in range(3):
        assert inflate(inflater, wire(payload)) == b"Hello"
        assert inflate(inflater, wire("f248cdc9c90700")) == b"Hello"


def test_a_message_of_many_last_blocks_is_inflated_whole() -> None:
    inflater = Inflater(15, no_context_takeover=False)
    assert inflate(inflater, wire("f348cdc9c90700") * 5000 + b"\x00") == b"Hello" * 5000


@pytest.mark.parametrize("no_context_takeover", [False, True])
def test_empty_and_other_messages_are_compressed_in_any_order(no_context_takeover: bool) -> None:
    deflater = Deflater(15, no_context_takeover=no_context_takeover)
    inflater = Inflater(15, no_context_takeover=no_context_takeover)
    for message in (b"", b"", b"Hello", b"", b"", b"Hello", b""):
        payload = deflater.compress(message, fin=True)
        assert not payload.endswith(b"\x00\x00\xff\xff")
        assert payload, "RFC 7692 section 7.2.3.6: an empty message is one byte"
        assert inflate(inflater, payload) == message


def test_fragments_are_compressed_so_that_each_can_be_read_at_once() -> None:
    deflater = Deflater(15, no_context_takeover=False)
    inflater = Inflater(15, no_context_takeover=False)
    for fragment in (b"Hel", b"", b"lo"):
        payload = deflater.compress(fragment, fin=False)
        assert b"".join(inflater.inflate(payload)) == fragment
    last = deflater.compress(b"", fin=True)
    assert b"".join(inflater.inflate(last)) + b"".join(inflater.finish()) == b""
    assert inflate(inflater, deflater.compress(b"next", fin=True)) == b"next"


def test_a_context_taken_over_makes_the_next_message_smaller() -> None:
    message = random.Random(1).randbytes(500)
    sharing = Deflater(15, no_context_takeover=False)
    resetting = Deflater(15, no_context_takeover=True)
    first = sharing.compress(message, fin=True)
    assert len(sharing.compress(message, fin=True)) < 20 < len(first)
    assert resetting.compress(message, fin=True) == first
    assert resetting.compress(message, fin=True) == first


def test_a_context_not_taken_over_is_not_referred_to() -> None:
    message = random.Random(1).randbytes(500)
    sharing = Deflater(15, no_context_takeover=False)
    inflater = Inflater(15, no_context_takeover=True)
    assert inflate(inflater, sharing.compress(message, fin=True)) == message
    with pytest.raises(RemoteProtocolError, match="not valid deflate"):
        inflate(inflater, sharing.compress(message, fin=True))


@pytest.mark.parametrize("bits", range(9, 16))
def test_a_compressor_refers_no_farther_back_than_its_window(bits: int) -> None:
    rng = random.Random(2)
    words = [rng.randbytes(40) for _ in range(1000)]
    message = b"".join(rng.choice(words) for _ in range(5_000))
    payload = Deflater(bits, no_context_takeover=False).compress(message, fin=True)
    # zlib refuses a distance beyond the window it was told, but only across calls.
    decompressor = zlib.decompressobj(-bits)
    portions = [payload[at : at + 16] for at in range(0, len(payload), 16)]
    assert b"".join(map(decompressor.decompress, portions)) == message
    assert inflate(Inflater(bits, no_context_takeover=False), payload) == message


@pytest.mark.parametrize("bits", [8, 16, 0])
def test_a_window_zlib_cannot_compress_with_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"window of {bits} bits"):
        Deflater(bits, no_context_takeover=False)


def test_a_peer_with_a_window_of_8_bits_is_understood() -> None:
    # A distance of 400, from a peer that rounds 8 bits up to 9, as zlib does.
    message = random.Random(4).randbytes(400) * 2
    payload = Deflater(10, no_context_takeover=False).compress(message, fin=True)
    assert len(payload) < 450
    assert inflate(Inflater(8, no_context_takeover=False), *bytewise(payload)) == message


@pytest.mark.parametrize("used", [False, True], ids=["idle", "between messages"])
def test_no_state_of_zlib_is_held_where_no_context_is_taken_over(used: bool) -> None:
    tracemalloc.start()
    try:
        deflater = Deflater(15, no_context_takeover=True)
        inflater = Inflater(15, no_context_takeover=True)
        if used:
            assert inflate(inflater, deflater.compress(b"Hello", fin=True)) == b"Hello"
        # zlib's own would be 190 KiB.
        assert tracemalloc.get_traced_memory()[0] < 8000
    finally:
        tracemalloc.stop()


def test_an_idle_object_holds_no_state_of_zlib() -> None:
    tracemalloc.start()
    try:
        objects = [Deflater(15, no_context_takeover=False), Inflater(15, no_context_takeover=False)]
        assert tracemalloc.get_traced_memory()[0] < 2000, objects
    finally:
        tracemalloc.stop()


def test_a_bomb_is_inflated_in_small_pieces() -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(bytes(50_000_000)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    inflater = Inflater(15, no_context_takeover=False)
    total = 0
    tracemalloc.start()
    try:
        for piece in inflater.inflate(bomb):
            assert 0 < len(piece) <= 65536
            total += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 50_000_000
    assert peak < 300_000


def test_all_that_can_be_inflated_is_given_at_once() -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    payload = compressor.compress(bytes(70_000)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    # Where a piece is full in the middle of a repetition, zlib has output but no input left.
    for end in range(len(payload) + 1):
        whole = zlib.decompressobj(-15).decompress(payload[:end])
        pieces = list(Inflater(15, no_context_takeover=False).inflate(payload[:end]))
        assert sum(map(len, pieces)) == len(whole)


@pytest.mark.parametrize(
    "payload", ["ff", "07", "f2 48 cd ff ff ff ff ff", "00 05 00 05 00 48", "63 00 ff 03 ff"]
)
def test_garbage_is_refused_with_1007(payload: str) -> None:
    inflater = Inflater(15, no_context_takeover=False)
    with pytest.raises(RemoteProtocolError, match="not valid deflate data") as caught:
        inflate(inflater, wire(payload))
    assert caught.value.code == 1007


@settings(deadline=None)
@given(payloads=st.lists(st.binary(max_size=200), max_size=5))
def test_random_bytes_raise_nothing_undocumented(payloads: list[bytes]) -> None:
    inflater = Inflater(15, no_context_takeover=False)
    code = None
    try:
        inflate(inflater, *payloads)
    except RemoteProtocolError as error:
        code = error.code
    assert code in (None, 1007)


@settings(deadline=None)
@given(
    messages=st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=5),
    bits=st.integers(9, 15),
    no_context_takeover=st.booleans(),
    cut=st.integers(1, 50),
)
def test_what_is_compressed_is_inflated_back(
    messages: list[list[bytes]], bits: int, no_context_takeover: bool, cut: int
) -> None:
    deflater = Deflater(bits, no_context_takeover=no_context_takeover)
    inflater = Inflater(bits, no_context_takeover=no_context_takeover)
    for fragments in messages:
        last = len(fragments) - 1
        payload = b"".join(
            deflater.compress(fragment, fin=index == last)
            for index, fragment in enumerate(fragments)
        )
        portions = [payload[at : at + cut] for at in range(0, len(payload), cut)]
        assert inflate(inflater, *portions) == b"".join(fragments)


def test_each_end_takes_its_own_parameters() -> None:
    parameters = DeflateParameters(
        server_no_context_takeover=True, server_max_window_bits=10, client_max_window_bits=12
    )
    message = random.Random(3).randbytes(2000) * 2
    server = deflater_for(Role.SERVER, parameters)
    client = deflater_for(Role.CLIENT, parameters)
    # A repetition 2,000 bytes back is in a window of 4 KiB and not in one of 1 KiB.
    assert len(server.compress(message, fin=True)) > 4000 > len(client.compress(message, fin=True))
    assert len(client.compress(message, fin=True)) < 200 < len(server.compress(message, fin=True))
    at_client = inflater_for(Role.CLIENT, parameters)
    at_server = inflater_for(Role.SERVER, parameters)
    client = deflater_for(Role.CLIENT, parameters)
    for _ in range(2):
        assert inflate(at_client, server.compress(message, fin=True)) == message
        assert inflate(at_server, client.compress(message, fin=True)) == message


def test_a_server_cannot_be_asked_for_a_window_of_8_bits() -> None:
    parameters = DeflateParameters(server_max_window_bits=8)
    with pytest.raises(ValueError, match="window of 8 bits"):
        deflater_for(Role.SERVER, parameters)
    with pytest.raises(ValueError, match="window of 8 bits"):
        deflater_for(Role.CLIENT, DeflateParameters(client_max_window_bits=8))
    assert inflate(inflater_for(Role.CLIENT, parameters), wire("f248cdc9c90700")) == b"Hello"
