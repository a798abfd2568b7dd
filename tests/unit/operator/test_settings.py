"""The configuration file: what is wrong with it is said, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_operator import settings
from guestpost_operator.settings import Config, ConfigurationError


@pytest.fixture
def document(configure: Any) -> dict[str, Any]:
    found: dict[str, Any] = configure().model_dump(mode="json", by_alias=True)
    return found


def write(folder: Path, document: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def test_a_whole_file_is_read(document: dict[str, Any], tmp_path: Path, configure: Any) -> None:
    assert settings.load(write(tmp_path, document)) == configure()


def test_the_file_is_named_by_the_environment(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.CONFIG_VARIABLE, str(write(tmp_path, document)))
    assert isinstance(settings.load(), Config)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("operator.concurency", 4, "operator.concurency: Extra inputs are not permitted"),
        ("operator.concurrency", 0, "operator.concurrency: Input should be greater than or equal to 1"),
        ("operator.logLevel", "LOUD", "operator.logLevel"),
        (
            "tenants.routing.kind",
            "Route",
            "tenants.routing.kind: Input should be 'Ingress', 'HTTPRoute' or 'None'",
        ),
        ("tenants.routing.scheme", "ftp", "tenants.routing.scheme"),
        ("tenants.images.crm", "", "tenants.images.crm"),
        ("tenants.plans.Starter.database.storage", "10GB", "tenants.plans.Starter.database.storage"),
        (
            "rollout",
            {"strategy": "Sometimes"},
            "rollout.strategy: Input should be 'Waves', 'Hold' or 'Immediate'",
        ),
        ("rollout", {"waveSize": 0}, "rollout.waveSize: Input should be greater than or equal to 1"),
        ("rollout", {"windows": [{"start": 120, "durationMinutes": 60}]}, "rollout.windows.0.start"),
        ("rollout", {"windows": [{"start": "25:00", "durationMinutes": 60}]}, "rollout.windows.0.start"),
        (
            "rollout",
            {"windows": [{"start": "02:00", "durationMinutes": 60, "timeZone": "Mars"}]},
            "'Mars' is no IANA time zone; write Europe/Berlin",
        ),
        ("tenants.keys", {"kind": "KMS"}, "tenants.keys: Value error, kind KMS needs keyRing"),
        ("tenants.keys", {"kind": "KMS", "keyRing": "a/b"}, "tenants.keys.keyRing"),
        ("googleProjects.acme-crm-prod.number", "12a", "googleProjects.acme-crm-prod.number"),
        ("tenants.images", None, "tenants.images"),
    ],
)
def test_what_is_wrong_is_said_and_where(
    document: dict[str, Any], tmp_path: Path, place: str, value: Any, says: str
) -> None:
    *parents, last = place.split(".")
    inner = document
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    with pytest.raises(ConfigurationError) as problem:
        settings.load(write(tmp_path, document))
    assert says in str(problem.value)
    assert str(tmp_path) in str(problem.value)


@pytest.mark.parametrize(("text", "says"), [("a: [", "is not YAML"), ("", "the file"), ("- 1", "the file")])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        settings.load(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="set GUESTPOST_CONFIG to the file"):
        settings.load(tmp_path / "none.yaml")
