"""HTML mail made safe: sanitised by nh3 (ammonia), then shown in a sandboxed frame that may load nothing.

Two walls: what the sanitiser would miss, the frame's policy (no scripts, no network, no forms, no
navigation of the page) still stops.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
# Real newsletters stay below a hundred; what the sanitiser needs grows with the square of the depth.
MOST_DEPTH = 500
# So does what it needs for a text with many of them, unless it knows the reference as another character.
MOST_AMPERSANDS = 20_000
_AMPERSAND = re.compile(r"&(?!(?:nbsp|lt|gt|quot);)")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
# Elements that end by themselves when the next begins, or that have no end, deepen nothing.
_FLAT = {
    "p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead", "tfoot", "option", "br", "hr", "img", "input",
    "meta", "link", "area", "base", "col", "embed", "source", "wbr", "param", "track",
}  # fmt: skip
# A link without a scheme would lead into the CRM.
_LINK = re.compile(r"\s*(https?|mailto):", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*\Z", re.IGNORECASE)
_UNSHOWN = re.compile(r"(script|style|head|title)\b", re.IGNORECASE)
_CLOSING = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "head", "title")}
_ENDS_LINE = re.compile(r"(br|/?(p|div|tr|li|ul|ol|table|h[1-6]|blockquote|pre|hr))\b", re.IGNORECASE)
# Nothing that mail has: control characters are no part of its text.
_BREAK = "\x1e"
_EMPTY = re.compile(r"\n{3,}")
_FRAME_STYLE = (
    "body{font:15px/1.55 system-ui,sans-serif;color:#1f2937;background:#fff;margin:0;padding:4px 2px;"
    "overflow-wrap:anywhere}img{max-width:100%;height:auto}table{max-width:100%}pre{white-space:pre-wrap}"
    "blockquote{margin:.5em 0 .5em .25em;padding-left:.8em;border-left:3px solid #cbd5e1}"
    ".notice{color:#475569;font-size:.9em;margin:0 0 .8em;padding:.35em .7em;background:#f1f5f9}"
)


@dataclass(frozen=True)
class Safe:
    """Markup that runs nothing and loads nothing; whether pictures from elsewhere were left out."""

    markup: str
    remote_images: bool


def sanitise(markup: str, images: Mapping[str, str]) -> Safe:
    """HTML that runs nothing and loads nothing from elsewhere.

    Args:
        markup: as the mail has it; when its elements are nested beyond reason, or it has ampersands beyond
            reason, only its words are kept.
        images: address of our own by Content-ID, for pictures inside the mail (RFC 2392).
    """
    if _depth(markup) > MOST_DEPTH or len(_AMPERSAND.findall(markup)) > MOST_AMPERSANDS:
        return Safe(f"<p>{html.escape(words(markup))}</p>", remote_images=False)
    left_out = False

    def attribute(tag: str, name: str, value: str) -> str | None:
        nonlocal left_out
        if name == "href":
            return value if _LINK.match(value) else None
        if name != "src" or _PICTURE.match(value):
            return value
        if value.startswith("cid:"):
            return images.get(value.removeprefix("cid:").strip("<>"))
        left_out = True
        return None

    safe = nh3.clean(
        markup,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=attribute,
        filter_style_properties=_STYLES,
        url_schemes={"http", "https", "mailto", "cid", "data"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
    )
    return Safe(safe, left_out)


def _depth(markup: str) -> int:
    """How deep elements are nested at most, if every one that has to be closed is."""
    depth = deepest = 0
    for closing, name in _TAG.findall(markup):
        if name.lower() not in _FLAT:
            depth = max(0, depth - 1) if closing else depth + 1
            deepest = max(deepest, depth)
    return deepest


def words(markup: str) -> str:
    """The words of HTML, on one line, in time that grows with its length alone."""
    return " ".join(html.unescape("".join(_texts(markup))).split())


def lines(markup: str) -> str:
    """The words of HTML, on lines as they would stand, an empty one at most between two."""
    text = html.unescape("".join(_texts(markup)))
    found = [" ".join(line.split()) for line in text.split(_BREAK)]
    return _EMPTY.sub("\n\n", "\n".join(found)).strip()


def _texts(markup: str) -> Iterator[str]:
    """What stands between tags, without comments and without what is not shown; breaks where lines end."""
    at = 0
    while (begin := markup.find("<", at)) >= 0:
        yield markup[at:begin]
        following = markup[begin + 1 : begin + 2]
        if not (following.isalpha() or following in ("/", "!", "?")):
            yield "<"
            at = begin + 1
            continue
        yield _BREAK if _ENDS_LINE.match(markup, begin + 1) else " "
        ending = "-->" if markup.startswith("<!--", begin) else ">"
        if unshown := _UNSHOWN.match(markup, begin + 1):
            closing = _CLOSING[unshown[1].lower()].search(markup, begin)
            if closing is None:
                return
            begin = closing.start()
        end = markup.find(ending, begin)
        if end < 0:
            return
        at = end + len(ending)
    yield markup[at:]


def document(content: str, notice: str = "") -> str:
    """A whole page for the frame, with a notice of ours above the mail."""
    if notice:
        content = f'<p class="notice">{html.escape(notice)}</p>{content}'
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f"<style>{_FRAME_STYLE}</style></head><body>{content}</body></html>"
    )
