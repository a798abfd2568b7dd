"""Everything that is recorded anywhere has words for people, and no words are left over."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3] / "tenant_app" / "guestpost_crm"
# Names put together at run time: message.<state of the outbox>.
MADE = {"message.sent", "message.failed", "message.unconfirmed"}


def words(name: str) -> dict[str, ast.expr]:
    """A dictionary of audit/words.py, by its keys."""
    tree = ast.parse((PACKAGE / "audit" / "words.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        if isinstance(target, ast.Name) and target.id == name:
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            assert isinstance(node.value, ast.Dict)
            return {
                ast.literal_eval(key): value
                for key, value in zip(node.value.keys, node.value.values, strict=True)
                if key
            }
    raise AssertionError(name)


def strings(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from strings(node.body)
        yield from strings(node.orelse)


def recorded() -> set[str]:
    """Every action that some call of record() or acted() names."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        kept = {
            target.id: set(strings(node.value))
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name not in ("record", "acted", "_record"):
                continue
            for argument in node.args[:3]:
                texts = (
                    kept.get(argument.id, set()) if isinstance(argument, ast.Name) else set(strings(argument))
                )
                found |= {each for each in texts if "." in each and "/" not in each and ":" not in each}
    return found


def test_every_action_has_words_and_every_word_an_action() -> None:
    known = recorded()
    assert len(known) > 80
    assert set(words("ACTIONS")) == known | MADE


def test_every_area_is_what_stands_before_the_dot() -> None:
    assert set(words("AREAS")) == {action.partition(".")[0] for action in words("ACTIONS")}
