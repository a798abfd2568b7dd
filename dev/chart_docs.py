"""Writes the table of values in the chart's README from values.schema.json and values.yaml.

`--check` writes nothing and exits with 1 when the table is not current.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "charts/guestpost-operator"
README = CHART / "README.md"
BEGIN, END = "<!-- values: written by dev/chart_docs.py -->\n", "<!-- end of values -->\n"


def rows(schema: dict[str, Any], values: Any, definitions: dict[str, Any], path: str = "") -> Iterator[str]:
    """One row of the table for each value that can be set, the deepest only."""
    target = definitions[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
    children = dict(target.get("properties", {}))
    deeper = target.get("additionalProperties")
    if isinstance(deeper, dict) and "properties" in deeper:
        children["NAME"] = deeper
    if not children:
        default = "" if values in (None, "") else f"`{json.dumps(values, ensure_ascii=False)}`"
        text = schema["description"].replace("|", "\\|").replace("<", "&lt;")
        if "enum" in target and len(target["enum"]) > 1:
            text += f" One of {', '.join(f'`{each}`' for each in target['enum'])}."
        yield f"| `{path}` | {default} | {text} |"
    for name, child in children.items():
        below = values.get(name) if isinstance(values, dict) else None
        yield from rows(child, below, definitions, f"{path}.{name}".lstrip("."))


def table() -> str:
    """The whole table, as Markdown."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema["properties"].pop("global")
    return (
        "\n".join(["| value | default | meaning |", "|---|---|---|", *rows(schema, values, schema["$defs"])])
        + "\n"
    )


def main() -> int:
    """Write the table, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the table is current")
    only_check = parser.parse_args().check
    old = README.read_text(encoding="utf-8")
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if not only_check:
        README.write_text(new, encoding="utf-8")
    elif new != old:
        print("the values in the chart's README are not current: run dev/chart_docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
