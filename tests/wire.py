"""Frames as bytes, and the ways to deliver them; nothing here uses the package's codec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask_threaded_sockets.backend import Protocol
    from flask_threaded_sockets.events import Event

__all__ = ["KEY", "bytewise", "deliver", "deliver_in_place", "frame", "mask", "splits", "wire"]

# The masking key of the examples in RFC 6455 section 5.7.
KEY = bytes.fromhex("37fa213d")


def wire(*parts: str) -> bytes:
    """Give bytes from hexadecimal: header, key, payload, as they read best."""
    return bytes.fromhex(" ".join(parts))


def mask(payload: bytes, key: bytes = KEY) -> bytes:
    """Mask as RFC 6455 section 5.3 says it, byte by byte."""
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def frame(first: int, payload: bytes = b"", key: bytes | None = KEY) -> bytes:
    """Make a frame from its first byte and its payload; no key: not masked."""
    bit = 0x80 if key is not None else 0
    length = len(payload)
    if length < 126:
        header = bytes([first, bit | length])
    elif length < 65536:
        header = bytes([first, bit | 126]) + length.to_bytes(2, "big")
    else:
        header = bytes([first, bit | 127]) + length.to_bytes(8, "big")
    return header + payload if key is None else header + key + mask(payload, key)


def bytewise(data: bytes) -> list[bytes]:
    """Cut data into its bytes."""
    return [data[index : index + 1] for index in range(len(data))]


def splits(data: bytes) -> Iterator[list[bytes]]:
    """Cut data in two, in every way."""
    for index in range(1, len(data)):
        yield [data[:index], data[index:]]


def deliver(protocol: Protocol, chunks: Iterable[bytes]) -> list[Event]:
    """Give a protocol its data as bytes and collect the events."""
    events: list[Event] = []
    for chunk in chunks:
        protocol.receive_data(chunk)
        events += protocol.events()
    return events


def deliver_in_place(protocol: Protocol, chunks: Iterable[bytes]) -> list[Event]:
    """Give a protocol its data through the buffers it offers, wherever it offers one."""
    events: list[Event] = []
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            view = protocol.get_buffer()
            if view is None:
                # Little at once, so that a large payload is still to come.
                count = min(len(rest), 1024)
                protocol.receive_data(bytes(rest[:count]))
            else:
                count = min(len(rest), len(view))
                view[:count] = rest[:count]
                del view
                protocol.buffer_updated(count)
            rest = rest[count:]
            events += protocol.events()
    return events
