from gevent import monkey

monkey.patch_all()

import sys

from app import app
from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler

port, *pair = sys.argv[1:]
tls = dict(zip(("certfile", "keyfile"), pair, strict=False))
WSGIServer(("127.0.0.1", int(port)), app, handler_class=WebSocketHandler, **tls).serve_forever()
