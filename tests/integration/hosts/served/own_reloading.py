import sys

from app import app
from werkzeug._reloader import run_with_reloader

from flask_threaded_sockets import ThreadedWebsocketServer

port = int(sys.argv[1])
run_with_reloader(lambda: ThreadedWebsocketServer("127.0.0.1", port, app).serve_forever())
