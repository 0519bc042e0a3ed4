import gc
import os
import sys

from app import app
from cheroot.makefile import StreamWriter
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server


@app.get("/unwritten")
def unwritten():
    """Tell how much is in writers that have not been collected yet."""
    writers = [each for each in gc.get_objects() if isinstance(each, StreamWriter)]
    return str(sum(len(each._write_buf) for each in writers))


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
