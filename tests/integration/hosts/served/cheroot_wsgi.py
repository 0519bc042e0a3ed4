import gc
import os
import sys

from app import app
from cheroot.makefile import StreamWriter
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server


@app.get("/unwritten")
def unwritten():
    """Count the writers, not collected yet, with the head of a WebSocket's response."""
    writers = [each for each in gc.get_objects() if isinstance(each, StreamWriter)]
    return str(sum(each._write_buf.startswith(b"HTTP/1.1 101") for each in writers))


port, *pair = sys.argv[1:]
server = Server(
    ("127.0.0.1", int(port)), app, numthreads=int(os.environ.get("HOSTED_THREADS", "60"))
)
if pair:
    server.ssl_adapter = BuiltinSSLAdapter(*pair)
try:
    server.start()
except KeyboardInterrupt:
    server.stop()
