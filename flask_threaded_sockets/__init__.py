"""WebSockets for Flask with plain threads."""
