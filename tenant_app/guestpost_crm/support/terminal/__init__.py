"""The terminal of a Shell: one program where the person is, one that records between them and it.

`terminal` runs in a container without keys and without Django; `recorder` and `shell` run in the other one.
"""
