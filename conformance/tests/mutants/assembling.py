"""Broken assemblers and inflaters in the place of the built-in protocol's."""

from __future__ import annotations

from typing import Any

from flask_threaded_sockets.backend import Upgrade
from flask_threaded_sockets.codec import BuiltinProtocol
from flask_threaded_sockets.codec.assembler import Assembler
from flask_threaded_sockets.codec.deflate import Inflater
from flask_threaded_sockets.options import ConnectionOptions

from .filtered import Filtered

__all__ = ["Assembling", "assembling", "inflating"]


class Assembling(Filtered):
    """Put messages together by a broken assembler."""

    assembler: type[Assembler] = Assembler
    inflater: type[Inflater] = Inflater

    def make(self, upgrade: Upgrade, options: ConnectionOptions) -> BuiltinProtocol:
        protocol = super().make(upgrade, options)
        deflate = upgrade.deflate
        inflater: Inflater | None = None
        if deflate is not None:
            inflater = self.inflater(
                deflate.client_max_window_bits,
                no_context_takeover=deflate.client_no_context_takeover,
            )
        receiver: Any = protocol._receiver
        receiver._assembler = self.assembler(options.max_message_size, inflater)
        receiver._shortcut_max = receiver._short_max = -1
        return protocol


def assembling(kind: type[Assembler]) -> type[Assembling]:
    return type(kind.__name__, (Assembling,), {"assembler": kind})


def inflating(kind: type[Inflater]) -> type[Assembling]:
    return type(kind.__name__, (Assembling,), {"inflater": kind})
