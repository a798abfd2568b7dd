"""The demo: a tenant on a real cluster, with mail arriving and a person at work."""
