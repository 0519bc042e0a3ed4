import sys

from app import app

port, *pair = sys.argv[1:]
app.run("127.0.0.1", int(port), ssl_context=tuple(pair) or None)
