import sys

import waitress
from app import app

waitress.serve(app, host="127.0.0.1", port=int(sys.argv[1]))
