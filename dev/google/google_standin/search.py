"""Gmail's search operators, as far as a CRM uses them.

https://support.google.com/mail/answer/7190
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass

from google_standin.errors import ApiError
from google_standin.store import Account, Message

_WORD = re.compile(r'(-?)(?:(\w+):)?("[^"]*"|\([^)]*\)|\S+)')
Test = Callable[[Message], bool]


@dataclass(frozen=True)
class Condition:
    """What a query asks. `anywhere`: spam and trash are searched too."""

    tests: tuple[Test, ...]
    anywhere: bool

    def matches(self, message: Message) -> bool:
        """Whether a message is found."""
        return all(test(message) for test in self.tests)


def condition(query: str, account: Account) -> Condition:
    """Read a query.

    Raises:
        ApiError: 400, an operator that the stand-in does not know.
    """
    tests: list[Test] = []
    anywhere = False
    for minus, operator, value in _WORD.findall(query):
        text = value.strip('"()').lower()
        if operator == "in" and text == "anywhere":
            anywhere = True
            continue
        test = _test(operator.lower(), text, account)
        anywhere = anywhere or (operator == "in" and text in ("spam", "trash"))
        tests.append((lambda message, test=test: not test(message)) if minus else test)  # type: ignore[misc]
    return Condition(tuple(tests), anywhere)


def _test(operator: str, text: str, account: Account) -> Test:
    if operator == "rfc822msgid":
        return lambda message: message.message_id.strip("<>").lower() == text.strip("<>")
    if operator in ("from", "subject"):
        field = "sender" if operator == "from" else "subject"
        return lambda message: text in getattr(message, field).lower()
    if operator in ("in", "label", "is"):
        names = {name.lower(): key for key, name in account.user_labels.items()}
        # Its places are named in the plural too.
        wanted = names.get(text, "DRAFT" if text == "drafts" else text.upper())
        if wanted == "READ":
            return lambda message: "UNREAD" not in message.labels
        return lambda message: wanted in message.labels
    if operator in ("after", "newer", "before", "older"):
        edge = _edge(text)
        later = operator in ("after", "newer")
        return lambda message: (message.date >= edge) == later
    if operator:
        raise ApiError(400, f"the stand-in does not know the search operator {operator}:")
    return lambda message: text in f"{message.subject} {message.sender} {message.snippet}".lower()


def _edge(text: str) -> int:
    """A date or a number of seconds, in milliseconds since the epoch."""
    if text.isdigit():
        return int(text) * 1000
    try:
        day = dt.datetime.strptime(text.replace("-", "/"), "%Y/%m/%d").replace(tzinfo=dt.UTC)
    except ValueError:
        raise ApiError(400, f"Invalid date in query: {text}") from None
    return int(day.timestamp() * 1000)
