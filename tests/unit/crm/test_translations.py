"""The other language is whole: nothing untranslated, unsure or left over, and pages really speak it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "tenant_app" / "guestpost_crm"
FOR_PEOPLE = re.compile(r"the message (is for|says why|names (it|who))")
# What is wrong with settings and keys is read in logs.
FOR_WHO_RUNS_IT = ("environment.py", "crypto")
MARKS = ("_", "gettext", "gettext_noop", "ngettext")


def test_every_text_has_its_translation() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "dev" / "messages.py", "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, f"run make messages, then translate:\n{checked.stderr}"


def test_what_is_said_to_people_can_be_translated() -> None:
    """Errors whose message is for people have it from gettext: no catalogue finds English alone."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    told = {
        node.name
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and FOR_PEOPLE.search(ast.get_docstring(node) or "")
        if path.relative_to(PACKAGE).parts[0] not in FOR_WHO_RUNS_IT
    }
    assert {"ExportError", "RecipientError", "MayNotSendError", "DoNotContactError", "CsvError"} <= told
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        if isinstance(node.exc.func, ast.Name | ast.Attribute)
        if getattr(node.exc.func, "id", getattr(node.exc.func, "attr", "")) in told
        if node.exc.args and any(map(plain, ast.walk(node.exc.args[0]))) and not marked(node.exc.args[0])
    ]
    assert found == [], f"said in English alone: {found}"


def plain(node: ast.AST) -> bool:
    """Whether this is a text of several words."""
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and re.search(r"\w \w", text) is not None


def marked(node: ast.AST) -> bool:
    """Whether something in it is marked for translation."""
    return any(
        isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id in MARKS
        for each in ast.walk(node)
    )
