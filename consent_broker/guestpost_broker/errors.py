"""What the broker answers when it can't do what was asked."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class BrokerError(Exception):
    """An error answer: `{error, error_description}` as RFC 6749 (section 5.2) writes it.

    Attributes:
        status: HTTP status.
        error: a word for programs.
        description: a sentence for people: what to do.
        extra: further fields of the answer.
        retry_after: seconds, when trying again later helps.
    """

    status: int
    error: str
    description: str
    extra: dict[str, str] = field(default_factory=dict)
    retry_after: int | None = None


def unauthorized() -> BrokerError:
    """The caller did not prove which tenant it is."""
    return BrokerError(
        401,
        "invalid_token",
        "Send the pod's service account token with audience guestpost-broker as a Bearer token.",
    )


def forbidden(reason: str) -> BrokerError:
    """The caller is known, but may not do this."""
    return BrokerError(403, "access_denied", reason)


def invalid_request(reason: str) -> BrokerError:
    """The request is malformed."""
    return BrokerError(400, "invalid_request", reason)


def invalid_state() -> BrokerError:
    """The state is forged, expired, or another tenant's."""
    return BrokerError(
        400, "invalid_state", "This sign-in has expired or was not begun here. Begin again from the CRM."
    )


def invalid_grant() -> BrokerError:
    """Google no longer honours the code or the refresh token."""
    return BrokerError(
        400, "invalid_grant", "Google no longer accepts this consent. Connect the Google account again."
    )


def google_unavailable() -> BrokerError:
    """Google did not answer, or with an error of its own."""
    return BrokerError(
        503, "google_unavailable", "Google does not answer at the moment. Try again soon.", retry_after=10
    )


def kubernetes_unavailable() -> BrokerError:
    """The Kubernetes API did not answer."""
    return BrokerError(
        503, "temporarily_unavailable", "The cluster does not answer. Try again soon.", retry_after=5
    )


def mailbox_taken() -> BrokerError:
    """The mailbox is another tenant's."""
    return BrokerError(
        409,
        "mailbox_taken",
        "This mailbox is connected to another GuestPostCRM server. A mailbox can be connected to one server "
        "only: disconnect it there first.",
    )


def invalid_seal() -> BrokerError:
    """The sealed token is not this tenant's and mailbox's."""
    return BrokerError(
        400, "invalid_seal", "This refresh token was not sealed for this tenant and mailbox. Connect again."
    )


def seal_key_unknown() -> BrokerError:
    """The sealed token may be good, but its key is missing here: nothing that its holder could repair."""
    return BrokerError(
        503,
        "seal_key_unknown",
        "The consent broker lacks the key that this token was sealed with: its operator has to restore it.",
        retry_after=60,
    )


def slow_down(reason: str, seconds: int) -> BrokerError:
    """Too many requests; `seconds` until one is allowed again."""
    return BrokerError(429, "slow_down", reason, retry_after=seconds)
