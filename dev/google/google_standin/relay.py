"""The stand-in for Google's SMTP relay: takes what our programs write themselves, and keeps the newest of it.

https://support.google.com/a/answer/2956491
"""

from __future__ import annotations

from collections import deque
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

MOST = 1000


class Relay:
    """What was handed in, the oldest first."""

    def __init__(self) -> None:
        self._taken: deque[dict[str, Any]] = deque(maxlen=MOST)

    def taken(self, to: str = "") -> list[dict[str, Any]]:
        """From, to, subject and text of every message, or of those to one address."""
        return [each for each in list(self._taken) if not to or to in each["to"]]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a message, whoever hands it in."""
        message: EmailMessage = message_from_bytes(envelope.content, policy=policy.default)
        body = message.get_body(("plain",))
        self._taken.append(
            {
                "from": str(message["From"]),
                "to": list(envelope.rcpt_tos),
                "subject": str(message["Subject"]),
                "text": body.get_content() if body is not None else "",
            }
        )
        return "250 OK"
