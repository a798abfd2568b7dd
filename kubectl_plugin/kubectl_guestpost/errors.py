"""What goes wrong, in words that say what to do."""

from __future__ import annotations

import json

from kubernetes.client import ApiException


class PluginError(Exception):
    """The command can't do what was asked; the message is for the person."""


class RefusedError(PluginError):
    """What was typed or given is not enough to go on with something that can't be taken back."""


def explained(error: ApiException, doing: str) -> PluginError:
    """An answer of the API server that is no success.

    Args:
        error: the answer.
        doing: what was tried, such as "suspend tenant acme".
    """
    said = _message(error)
    if error.status == 401:
        return PluginError(
            "the cluster does not know you: sign in again (kubectl auth whoami shows who you are)"
        )
    if error.status == 403 and " cannot " in said:
        return PluginError(f"you may not {doing}. {said}")
    if error.status == 409:
        return PluginError(
            f"could not {doing}: somebody changed it at the same time. Look at it and try again."
        )
    return PluginError(f"could not {doing}: {said}")


def _message(error: ApiException) -> str:
    """What the API server says, each cause on a line of its own."""
    try:
        status = json.loads(error.body or "{}")
    except ValueError:
        status = {}
    causes = (status.get("details") or {}).get("causes") or []
    lines = [f"\n  {each['field']}: {each['message']}" for each in causes if each.get("field")]
    if lines and error.status == 422:
        return "".join(lines)
    return str(status.get("message") or error.reason or "no answer").strip()
