"""The codec on spoiled conversations, however they are cut."""

from __future__ import annotations

import tracemalloc
from itertools import product

import pytest
from fuzz.campaign import SECONDS, campaign
from fuzz.conversations import CORPUS, chunks, conversations, cuts
from hypothesis import strategies as st
from wire import deliver, deliver_in_place

from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.events import Close, Event, Message

FAILURES = {1002, 1007, 1009}
DEFLATE = [None, DeflateParameters(), DeflateParameters(True, True, 9, 10)]
LIMITS = [None, 100, 70_000]

# What the interpreter and zlib may take beside a message: buffers of fixed size.
SPARE = 512 * 1024


def make(deflate: DeflateParameters | None, limit: int | None) -> BuiltinProtocol:
    return BuiltinProtocol(Role.SERVER, deflate, limit)


def end_of(protocol: BuiltinProtocol, events: list[Event]) -> list[Event]:
    protocol.receive_eof()
    return events + protocol.events()


def code_of(events: list[Event]) -> int:
    last = events[-1]
    assert isinstance(last, Close)
    return last.code


def check_end(events: list[Event], limit: int | None) -> None:
    *before, last = events
    assert isinstance(last, Close)
    assert not any(isinstance(event, Close) for event in before)
    assert len(last.reason.encode()) <= 123
    if not last.clean:
        assert last.code in FAILURES | {1006}
    for event in before:
        if isinstance(event, Message) and limit is not None:
            size = len(event.data.encode() if isinstance(event.data, str) else event.data)
            assert size <= limit


def check(data: bytes, where: list[int], deflate: DeflateParameters | None, limit: int) -> None:
    whole = make(deflate, limit)
    expected = end_of(whole, deliver(whole, [data]))
    output = b"".join(whole.data_to_send())
    check_end(expected, limit)
    for way in (deliver, deliver_in_place):
        split = make(deflate, limit)
        events = end_of(split, way(split, chunks(data, where)))
        if deflate is not None and {code_of(events), code_of(expected)} <= {1007, 1009}:
            # A compressed message may be several of: too long, no UTF-8, no deflate data.
            # How far it is inflated before it is judged depends on the split.
            assert events[:-1] == expected[:-1]
            continue
        assert events == expected
        assert b"".join(split.data_to_send()) == output


@pytest.mark.timeout(SECONDS + 180)
def test_codec_ends_any_conversation_in_a_documented_way() -> None:
    campaign(
        check,
        data=conversations,
        where=cuts,
        deflate=st.sampled_from(DEFLATE),
        limit=st.sampled_from(LIMITS),
    )


def check_memory(data: bytes, where: list[int], limit: int) -> None:
    pieces = chunks(data, where)
    protocol = make(DEFLATE[1], limit)
    tracemalloc.start()
    try:
        for way in (deliver, deliver_in_place):
            way(protocol, pieces)
            protocol.data_to_send()
            protocol = make(DEFLATE[1], limit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Two copies of all that came, as bytes and as messages, and one message twice.
    assert peak <= 8 * len(data) + 2 * limit + SPARE


@pytest.mark.timeout(SECONDS + 180)
def test_codec_keeps_no_more_than_what_came_and_the_limit() -> None:
    campaign(check_memory, data=conversations, where=cuts, limit=st.sampled_from([100, 70_000]))


@pytest.mark.parametrize(
    ("name", "deflate", "limit"), list(product(CORPUS, DEFLATE, LIMITS)), ids=str
)
def test_codec_ends_the_conversations_that_are_kept(
    name: str, deflate: DeflateParameters | None, limit: int
) -> None:
    check(b"".join(CORPUS[name]), [], deflate, limit)
