import sys

from app import app

from flask_threaded_sockets import ThreadedWebsocketServer

port, *pair = sys.argv[1:]
server = ThreadedWebsocketServer("127.0.0.1", int(port), app, tuple(pair) or None)
app.add_url_rule("/stop", "stop", lambda: server.shutdown() or "stopping")
server.serve_forever()
print("serve_forever() has returned", flush=True)
