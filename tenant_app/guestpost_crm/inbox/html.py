"""HTML mail made safe: sanitised by nh3 (ammonia), then shown in a sandboxed frame that may load nothing.

Two walls: what the sanitiser would miss, the frame's policy (no scripts, no network, no forms, no
navigation of the page) still stops.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import nh3

POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'none'"
)
_TAGS = (nh3.ALLOWED_TAGS | {"font", "center", "u", "s", "big", "tt"}) - {
    "article",
    "header",
    "footer",
    "nav",
}
_STYLES = {
    "background-color", "border", "border-bottom", "border-collapse", "border-color", "border-left",
    "border-radius", "border-right", "border-spacing", "border-style", "border-top", "border-width", "color",
    "display", "font", "font-family", "font-size", "font-style", "font-weight", "height", "letter-spacing",
    "line-height", "list-style-type", "margin", "margin-bottom", "margin-left", "margin-right", "margin-top",
    "max-width", "min-width", "padding", "padding-bottom", "padding-left", "padding-right", "padding-top",
    "text-align", "text-decoration", "text-transform", "vertical-align", "white-space", "width", "word-break",
}  # fmt: skip
_LAYOUT = {"align", "bgcolor", "border", "cellpadding", "cellspacing", "color", "dir", "face", "height",
           "size", "style", "title", "valign", "width", "lang"}  # fmt: skip
_ATTRIBUTES = {
    **{tag: set(_LAYOUT) for tag in _TAGS},
    "a": {"href", "title", "style", "dir"},
    "img": {"src", "alt", "width", "height", "style", "title"},
    "td": _LAYOUT | {"colspan", "rowspan"},
    "th": _LAYOUT | {"colspan", "rowspan"},
}
_REMOTE = re.compile(r"<img\b[^>]*\bsrc\s*=\s*[\"']?\s*(?:https?:)?//", re.IGNORECASE)
_FRAME_STYLE = (
    "body{font:15px/1.55 system-ui,sans-serif;color:#1f2937;background:#fff;margin:0;padding:4px 2px;"
    "overflow-wrap:anywhere}img{max-width:100%;height:auto}table{max-width:100%}pre{white-space:pre-wrap}"
    "blockquote{margin:.5em 0 .5em .25em;padding-left:.8em;border-left:3px solid #cbd5e1}"
)


def sanitise(markup: str, images: Mapping[str, str]) -> str:
    """HTML that runs nothing and loads nothing from elsewhere.

    Args:
        markup: as the mail has it.
        images: address of our own by Content-ID, for pictures inside the mail (RFC 2392).
    """

    def attribute(tag: str, name: str, value: str) -> str | None:
        if tag == "img" and name == "src":
            identifier = value.removeprefix("cid:").strip("<>")
            return images.get(identifier) if value.startswith("cid:") else None
        return value

    return nh3.clean(
        markup,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=attribute,
        filter_style_properties=_STYLES,
        url_schemes={"http", "https", "mailto", "cid"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
    )


def has_remote_images(markup: str) -> bool:
    """Whether pictures from elsewhere were left out."""
    return _REMOTE.search(markup) is not None


def document(content: str) -> str:
    """A whole page for the frame."""
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f"<style>{_FRAME_STYLE}</style></head><body>{content}</body></html>"
    )
