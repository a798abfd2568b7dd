"""What is shown: routes, thin; each page asks the API server as the person who looks."""

from __future__ import annotations

from starlette.convertors import StringConvertor, register_url_convertor


class NameConvertor(StringConvertor):
    """A name of Kubernetes in an address: `{name:dns}`."""

    regex = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"


# Before any page, for their routes use it.
register_url_convertor("dns", NameConvertor())
