"""A revision: everything that tenants are rendered from, content-addressed and pinned per tenant.

See docs/decisions/pinned-revisions.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import yaml
from jinja2 import BaseLoader, StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from guestpost_operator.api import names
from guestpost_operator.settings import Config

SUFFIX = ".yaml.j2"
MACROS = "macros.j2"
# Rendered by itself, since everything else needs the namespace first.
NAMESPACE_TEMPLATE = "namespace.yaml.j2"
# Rendered once for each export and each Shell of a tenant, so not with what every tenant has.
EXPORT_TEMPLATE = "export.yaml.j2"
SUPPORT_TEMPLATE = "support.yaml.j2"
CONFIG_KEY = "config.json"

Object = dict[str, Any]

_PAIR = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})")
_MARK = re.compile("\x01([^\x02]*)\x02")


class RevisionError(Exception):
    """A revision cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Revision:
    """Templates and the configuration that they are rendered with.

    Attributes:
        templates: file name → text, as in `manifests/`.
        config: the `tenants` part of the configuration as plain JSON, defaults written out, and
            the client id of each Google project: what is pinned must not follow new defaults.
    """

    templates: Mapping[str, str]
    config: Mapping[str, Any]

    @cached_property
    def id(self) -> str:
        """Content hash: the same content has the same id on every machine."""
        text = json.dumps(
            [sorted(self.templates.items()), self.config], sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def config_map(self) -> str:
        """Name of the ConfigMap that stores this revision in the operator's namespace."""
        return config_map_name(self.id)

    @property
    def version(self) -> str:
        """Version of the CRM in it: the tag of its image; its digest when it has no tag."""
        name, _, digest = str(self.config["images"]["crm"]).partition("@")
        tag = name.rpartition("/")[2].partition(":")[2]
        return tag or digest[:19]

    @cached_property
    def _compiled(self) -> tuple[tuple[str, Template], ...]:
        try:
            return _compile(tuple(sorted(self.templates.items())))
        except TemplateError as error:
            raise RevisionError(f"a template of revision {self.id} is none: {error}") from error

    @cached_property
    def _shapes(self) -> dict[str, list[Object]]:
        return {}

    def render(self, context: Mapping[str, Any], values: Mapping[str, Any], only: str = "") -> list[Object]:
        """The tenant's manifests.

        Templates and YAML are worked through once for all tenants of the same shape: `values` go
        in as placeholders and are filled in afterwards. So templates may insert values and ask
        whether they are empty, and nothing else; a test renders both ways and compares.

        Args:
            context: what tenants share, see `guestpost_operator.render.context`.
            values: what is the tenant's own: nested maps of strings.
            only: file name of the one template to render; by default all that every tenant has.

        Raises:
            RevisionError: when a template needs what the context lacks, or its output is not
                a list of Kubernetes objects.
        """
        flat = dict(_flatten(values))
        empty = sorted(path for path, value in flat.items() if not value)
        shape = json.dumps([context, only, empty], sort_keys=True)
        if shape not in self._shapes:
            self._shapes[shape] = self.render_directly({**context, **_placeholders(values)}, only)
        return [_fill(manifest, flat) for manifest in self._shapes[shape]]

    def render_directly(self, context: Mapping[str, Any], only: str = "") -> list[Object]:
        """Manifests with everything from one context, each time through templates and YAML."""
        manifests: list[Object] = []
        for name, template in self._compiled:
            if name != only and (only or name in (EXPORT_TEMPLATE, SUPPORT_TEMPLATE)):
                continue
            try:
                documents = list(yaml.load_all(template.render(context), Loader=yaml.CSafeLoader))
            except (TemplateError, yaml.YAMLError, TypeError, ValueError) as error:
                raise RevisionError(f"template {name} of revision {self.id}: {error}") from error
            for document in documents:
                if document is None:
                    continue
                if not isinstance(document, dict) or not _is_object(document):
                    raise RevisionError(f"template {name} of revision {self.id}: not a Kubernetes object")
                manifests.append(document)
        return manifests

    def to_config_map(self, namespace: str) -> Object:
        """The immutable ConfigMap that keeps this revision."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.config_map,
                "namespace": namespace,
                "labels": {
                    names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
                    names.LABEL_PART_OF: "guestpost",
                    names.LABEL_REVISION: self.id,
                },
                "annotations": {names.ANNOTATION_VERSION: self.version},
            },
            "immutable": True,
            "data": {**self.templates, CONFIG_KEY: json.dumps(self.config, sort_keys=True, indent=2)},
        }


def current(config: Config) -> Revision:
    """The revision of this program and configuration: what new tenants get."""
    folder = resources.files("guestpost_operator") / "manifests"
    templates = {
        each.name: each.read_text(encoding="utf-8")
        for each in folder.iterdir()
        if each.name.endswith(SUFFIX) or each.name == MACROS
    }
    pinned = config.tenants.model_dump(mode="json", by_alias=True)
    pinned["clientIds"] = {
        name: project.client_id for name, project in sorted(config.google_projects.items())
    }
    return Revision(templates=templates, config=pinned)


def from_config_map(body: Mapping[str, Any]) -> Revision:
    """Read a stored revision back.

    Raises:
        RevisionError: when its content does not hash to its name: somebody changed it.
    """
    data = dict(body.get("data") or {})
    name = body["metadata"]["name"]
    try:
        revision = Revision(config=json.loads(data.pop(CONFIG_KEY)), templates=data)
    except (KeyError, ValueError) as error:
        raise RevisionError(f"ConfigMap {name} is not a revision: {error}") from error
    if revision.config_map != name:
        raise RevisionError(
            f"ConfigMap {name} was changed: its content is revision {revision.id}; restore it"
        )
    return revision


# Most revisions differ in their configuration alone.
@lru_cache(maxsize=8)
def _compile(templates: tuple[tuple[str, str], ...]) -> tuple[tuple[str, Template], ...]:
    environment = ImmutableSandboxedEnvironment(
        loader=_Templates(dict(templates)),
        undefined=StrictUndefined,
        autoescape=False,  # YAML, not HTML: every value goes through the json filter
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["json"] = _json
    return tuple((name, environment.get_template(name)) for name, _ in templates if name.endswith(SUFFIX))


def config_map_name(revision_id: str) -> str:
    """Name of the ConfigMap of a revision."""
    return f"guestpost-revision-{revision_id}"


def _is_object(document: Mapping[str, Any]) -> bool:
    metadata = document.get("metadata")
    return bool(
        document.get("apiVersion")
        and document.get("kind")
        and isinstance(metadata, dict)
        and metadata.get("name")
    )


def _json(value: Any) -> str:
    # JSON is YAML; ASCII only, since YAML forbids some of what JSON strings may hold.
    return _PAIR.sub(_joined, json.dumps(value, ensure_ascii=True))


def _joined(pair: re.Match[str]) -> str:
    """A character that JSON escapes as two surrogates, escaped as YAML does."""
    return f"\\U{0x10000 + ((int(pair[1], 16) - 0xD800) << 10) + int(pair[2], 16) - 0xDC00:08x}"


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _placeholders(values: Mapping[str, Any], prefix: str = "") -> Object:
    """The same maps with a mark for each string that is not empty."""
    return {
        key: _placeholders(value, f"{prefix}{key}.")
        if isinstance(value, Mapping)
        else (f"\x01{prefix}{key}\x02" if value else value)
        for key, value in values.items()
    }


def _fill(node: Any, values: Mapping[str, str]) -> Any:
    """A copy of parsed YAML with the values in the place of their marks."""
    if isinstance(node, str):
        return _MARK.sub(lambda mark: values[mark[1]], node) if "\x01" in node else node
    if isinstance(node, dict):
        return {key: _fill(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(item, values) for item in node]
    return node


class _Templates(BaseLoader):
    """A loader for the templates of one revision only."""

    def __init__(self, templates: Mapping[str, str]) -> None:
        self._templates = templates

    def get_source(self, environment: object, template: str) -> tuple[str, str | None, Any]:
        del environment
        if template not in self._templates:
            raise RevisionError(f"the revision has no template {template}")
        return self._templates[template], template, lambda: True
