"""`kubectl_complete-guestpost …`: what kubectl's own completion asks when a plugin is completed.

It prints one proposal a line, with a description after a tab, and last `:4`, for no names of files:
https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from kubectl_guestpost.arguments import parser
from kubectl_guestpost.cluster import GRANT, TENANT, Cluster
from kubectl_guestpost.errors import PluginError

NO_FILES = ":4"
_MOST = 1_000
Proposals = Iterator[tuple[str, str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print proposals for the last word."""
    *before, last = [*(sys.argv[1:] if arguments is None else arguments)] or [""]
    try:
        for word, text in proposals(list(before), last):
            print(f"{word}\t{text}" if text else word)
    except PluginError:
        # A cluster that does not answer is no reason to disturb somebody who types.
        pass
    print(NO_FILES)
    return 0


def proposals(before: list[str], last: str) -> Proposals:
    """What may come next.

    Args:
        before: words that are complete.
        last: the beginning of the next one.
    """
    command, words = _descend(parser(), before)
    yield from ((word, text) for word, text in _next(command, words, last) if word.startswith(last))


def _descend(command: argparse.ArgumentParser, words: list[str]) -> tuple[argparse.ArgumentParser, list[str]]:
    """The command that is being completed, and what was given to it."""
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction) and words and words[0] in action.choices:
            return _descend(action.choices[words[0]], words[1:])
    return command, words


def _next(command: argparse.ArgumentParser, words: list[str], last: str) -> Proposals:
    options = {name: action for action in command._actions for name in action.option_strings}
    if words and (asked := options.get(words[-1])) is not None and asked.nargs != 0:
        yield from ((str(choice), "") for choice in asked.choices or ())
        return
    if last.startswith("-"):
        yield from (
            (name, action.help or "") for name, action in sorted(options.items()) if name.startswith("--")
        )
        return
    given = _positionals(words, options)
    places = [action for action in command._actions if not action.option_strings]
    if len(given) < len(places):
        yield from _values(places[len(given)], given, words)


def _positionals(words: list[str], options: dict[str, argparse.Action]) -> list[str]:
    """The words that belong to no option."""
    found, value = [], False
    for word in words:
        if value:
            value = False
        elif word.startswith("-"):
            action = options.get(word)
            value = action is not None and action.nargs != 0
        else:
            found.append(word)
    return found


def _values(place: argparse.Action, given: list[str], words: list[str]) -> Proposals:
    """What may stand at a place."""
    if isinstance(place, argparse._SubParsersAction):
        yield from ((choice.dest, choice.help or "") for choice in place._choices_actions)
    elif place.choices:
        yield from ((str(choice), "") for choice in place.choices)
    elif place.metavar == "TENANT":
        for _, tenant in zip(range(_MOST), _cluster(words).list(TENANT), strict=False):
            yield tenant["metadata"]["name"], tenant.get("status", {}).get("phase", "")
    elif place.metavar == "GRANT" and given:
        for grant in _cluster(words).list(GRANT, given[0]):
            yield grant["metadata"]["name"], grant.get("status", {}).get("phase", "")


def _cluster(words: list[str]) -> Cluster:
    """The cluster that the words name."""
    named = {name: words[place + 1] for place, name in enumerate(words[:-1]) if name.startswith("--")}
    named |= dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
    return Cluster(named.get("--kubeconfig"), named.get("--context"), timeout=3.0)


if __name__ == "__main__":
    sys.exit(main())
