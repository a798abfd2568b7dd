"""Writing mail: replies, forwards, new mail, templates, and what waits to be sent."""
