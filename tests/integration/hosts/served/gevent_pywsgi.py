from gevent import monkey

monkey.patch_all()

import sys

from app import app
from gevent.pywsgi import WSGIServer

port, *pair = sys.argv[1:]
tls = dict(zip(("certfile", "keyfile"), pair, strict=False))
WSGIServer(("127.0.0.1", int(port)), app, **tls).serve_forever()
