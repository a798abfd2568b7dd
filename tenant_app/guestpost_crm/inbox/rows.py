"""The threads of a list. Not a template: fifty of them were half of a page's time."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from guestpost_crm.inbox.models import Thread
from guestpost_crm.web.dates import day


def rows(threads: Iterable[Thread], view: str) -> SafeString:
    """Threads as items of a list; `view` is where to return to from them."""
    threads_address = reverse("thread", args=[0]).removesuffix("0")
    following = f"?from={escape(view)}" if view and view != "inbox" else ""
    nobody, no_subject = escape(_("(nobody)")), escape(_("(no subject)"))
    unread_words, has_attachments = escape(_("Unread:")), escape(_("Has attachments"))
    reminder, done, starred = escape(_("Reminder")), escape(_("Done")), escape(_("Starred"))
    unread = f'<span class="unseen">{unread_words} </span>'
    clip = static("crm/clip.svg")
    marks = {
        "follow_up_at": f'<span title="{reminder}">⏰</span>',
        "done": f'<span title="{done}">✓</span>',
        "starred": f'<span title="{starred}">★</span>',
        "has_attachments": f'<img src="{clip}" alt="{has_attachments}" width="16" height="16">',
    }
    written = []
    for thread in threads:
        at = timezone.localtime(thread.last_message_at)
        written.append(
            f'<li{_UNREAD if thread.unread else ""}><a href="{threads_address}{thread.pk}{following}">\n'
            f'<span class="people"><span>{escape(thread.participants) or nobody}</span>'
            f"{_count(thread.message_count)}</span>\n"
            f'<span class="about"><span class="subject" dir="auto">{unread if thread.unread else ""}'
            f"{escape(thread.subject) or no_subject}</span> "
            f'<span class="snippet" dir="auto">{escape(thread.snippet)}</span></span>\n'
            f'<span class="marks">{"".join(marks[name] for name in marks if getattr(thread, name))}</span>\n'
            f'<time datetime="{at.isoformat()}" data-local="day">{escape(day(at, "j M"))}</time></a></li>'
        )
    return mark_safe("\n".join(written))  # noqa: S308 - what comes with a mail is escaped above


_UNREAD = ' class="unread"'


def _count(messages: int) -> str:
    if messages < 2:
        return ""
    words = ngettext("%(n)s message", "%(n)s messages", messages) % {"n": messages}
    return f' <span class="count" aria-label="{escape(words)}">{messages}</span>'
