import warnings

warnings.simplefilter("ignore", DeprecationWarning)

import eventlet

eventlet.monkey_patch()

import sys

from app import app
from eventlet import wsgi

port, *pair = sys.argv[1:]
listener = eventlet.listen(("127.0.0.1", int(port)))
if pair:
    listener = eventlet.wrap_ssl(listener, certfile=pair[0], keyfile=pair[1], server_side=True)
wsgi.server(listener, app)
