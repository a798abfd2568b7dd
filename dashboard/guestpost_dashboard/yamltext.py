"""YAML as people keep it in Git, and as they type it. Pure."""

from __future__ import annotations

from typing import Any

import yaml

# A tenant has some thirty lines; this is more than anybody types.
MOST = 200_000
_BREAKS = {"\x85", "\u2028", "\u2029", "\ufeff"}


class UnreadableError(ValueError):
    """A text is no YAML, or not of the kind that Kubernetes' objects are; the message is for the person."""


class _Dumper(yaml.SafeDumper):
    """Lists are indented, as people write them; nothing is referred to by an alias."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Line breaks of Unicode are escaped: written as they are, they would be read as others."""
    style = '"' if _BREAKS & set(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


class _Loader(yaml.SafeLoader):
    """No aliases, which make a little text a huge object; and times stay text, as in JSON."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise UnreadableError("aliases (*name) are not read here; write the value out")
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def dump(value: Any) -> str:
    """A value as YAML: keys in their order, long lines whole."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**16)
    # What ends a document that is one plain value.
    return text.removesuffix("...\n")


def load(text: str) -> Any:
    """The value that a text says (UnreadableError)."""
    if len(text) > MOST:
        raise UnreadableError(f"this is longer than {MOST:,} characters")
    try:
        return yaml.load(text.replace("\r\n", "\n"), _Loader)  # noqa: S506 - derived from SafeLoader
    except UnreadableError:
        raise
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UnreadableError(f"this is no YAML{where}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableError(f"this is no YAML: {' '.join(str(error).split())[:200]}") from None


def load_object(text: str) -> dict[str, Any]:
    """The one object that a text says (UnreadableError)."""
    value = load(text)
    if not isinstance(value, dict):
        raise UnreadableError("this is no object: it begins with apiVersion: and kind:")
    return value
