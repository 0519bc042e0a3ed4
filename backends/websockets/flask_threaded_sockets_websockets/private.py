"""What is used of websockets without being documented, and where it was tried.

Upstream keeps its public API for five years and may change the rest at any time. A
test goes through this table with the version that is installed.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PRIVATE_NAMES", "TRIED_VERSIONS"]

TRIED_VERSIONS: Final = ("15.0", "15.0.1", "16.1.1", "17.4")

PRIVATE_NAMES: Final = {
    "websockets.protocol.Protocol": {
        "extensions": "an attribute: the extensions agreed; accept() would set it",
    },
    "websockets.sync.connection.Connection": {
        "__init__": "called with a socket and a protocol; documented for subclasses only",
        "protocol": "an attribute: the protocol",
        "protocol_mutex": "an attribute: held by the reader around protocol and send_data",
        "recv_events": "the reader's thread; overridden to begin with early bytes",
        "process_event": "called by the reader for each event; overridden",
        "send_data": "called under the mutex when there is output; overridden",
        "close_socket": "called when the reader ends; overridden to tell so",
    },
}
"""By class: name -> what it is relied on for."""
