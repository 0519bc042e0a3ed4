"""Open a WebSocket and answer every Ping, until killed: ``python client.py PORT PATH``."""

import sys

from peer import PING, PONG, Peer, request
from wire import frame

peer = Peer(int(sys.argv[1]))
peer.send(request(sys.argv[2]))
assert peer.head().status == 101
print("open", flush=True)
peer.sock.settimeout(None)
while True:
    first, payload = peer.frame()
    if first == PING:
        peer.send(frame(PONG, payload))
