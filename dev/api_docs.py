"""Writes docs/api.md, the reference of the API, from the CRDs.

`--check` writes nothing and exits with 1 when the page is not current.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/api.md"
HEAD = """# The API: {group}

<!-- Written by dev/api_docs.py from crds/; edit the descriptions there and run `make api-docs`. -->

Everything here is also on the command line: `kubectl explain gpt.spec --recursive`. Runnable examples are in
[examples/](../examples). What the fields were chosen for is in [decisions/api.md](decisions/api.md).
"""
LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxItems": "at most {} items",
}


def page(definitions: list[dict[str, Any]]) -> str:
    """The whole reference, as Markdown."""
    parts = [HEAD.format(group=definitions[0]["spec"]["group"])]
    for definition in definitions:
        names = definition["spec"]["names"]
        for version in definition["spec"]["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            parts.append(
                f"## {names['kind']} {version['name']}\n\n{schema['description']}\n\n{facts(definition)}\n"
            )
            parts.extend(rules("The object", schema))
            for name in ("spec", "status"):
                if name in schema["properties"]:
                    parts.append(
                        f"### {names['kind']} {name}\n\n{schema['properties'][name]['description']}\n"
                    )
                    parts.extend(rules(f"`{name}`", schema["properties"][name]))
                    parts.append(table(schema["properties"][name], name))
                    for path, field in fields(schema["properties"][name], name):
                        parts.extend(rules(f"`{path}`", field))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def facts(definition: dict[str, Any]) -> str:
    """Scope and names of a kind in one line."""
    names = definition["spec"]["names"]
    shorts = ", ".join(f"`{short}`" for short in names.get("shortNames", [])) or "none"
    categories = ", ".join(f"`{each}`" for each in names.get("categories", [])) or "none"
    return f"Scope: {definition['spec']['scope']}. Short name: {shorts}. Category: {categories}."


def table(schema: dict[str, Any], path: str) -> str:
    """One row for each field below a schema."""
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, field in fields(schema, path):
        rows.append(f"| `{name.removeprefix(path + '.')}` | {kind(field)} | {meaning(field)} |")
    return "\n".join(rows) + "\n"


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field below a schema with its path; `[]` stands for each item of a list."""
    for name, child in schema.get("properties", {}).items():
        field = {**child, "isRequired": name in schema.get("required", [])}
        yield f"{path}.{name}", field
        yield from fields(child, f"{path}.{name}")
        yield from fields(child.get("items", {}), f"{path}.{name}[]")


def kind(field: dict[str, Any]) -> str:
    """The type of a field, with what must be written and what it is otherwise."""
    of = f" of {field['items']['type']}s" if "items" in field else ""
    words = [field.get("format") if field["type"] == "string" and "format" in field else field["type"] + of]
    if field["isRequired"]:
        words.append("**required**")
    elif "default" in field and field["type"] != "object":
        words.append(
            f"default `{str(field['default']).lower() if field['type'] == 'boolean' else field['default']}`"
        )
    return ", ".join(str(word) for word in words)


def meaning(field: dict[str, Any]) -> str:
    """Description, values and limits, fit for a table's cell."""
    words = [" ".join(field.get("description", "").split())]
    if "enum" in field:
        words.append(f"One of {', '.join(f'`{value}`' for value in field['enum'])}.")
    limits = [text.format(field[name]) for name, text in LIMITS.items() if name in field]
    if limits:
        words.append(f"({', '.join(limits)})")
    return " ".join(words).replace("|", "\\|").replace("<", "&lt;")


def rules(whose: str, schema: dict[str, Any]) -> list[str]:
    """What the API server says when a rule of a schema is broken."""
    messages = [" ".join(rule["message"].split()) for rule in schema.get("x-kubernetes-validations", [])]
    if not messages:
        return []
    return [f"{whose} is refused with one of these:\n\n" + "".join(f"- {text}\n" for text in messages)]


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether docs/api.md is current")
    only_check = parser.parse_args().check
    definitions = [
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "crds").glob("*.yaml"))
    ]
    text = page(definitions)
    if not only_check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print("docs/api.md is not current: run make api-docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
