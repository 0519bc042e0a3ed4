import os
import sys

from app import app
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

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
