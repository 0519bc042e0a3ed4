"""The WSGI servers whose sockets can be had; each module is a plugin like a third party's."""
