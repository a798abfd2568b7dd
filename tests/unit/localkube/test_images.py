"""An image's name says what it is made from, and changes with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from localkube import images, paths
from localkube.addons import gateway
from localkube.images import IMAGES, Image


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository: a Dockerfile, a package, a project file."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/a.py").write_text("a = 1\n")
    return tmp_path


def image(root: Path) -> Image:
    return Image("thing", root / "Dockerfile", (root / "package",))


def test_the_same_content_has_the_same_name(parts: Path) -> None:
    before = image(parts).reference
    (parts / "package/__pycache__").mkdir()
    (parts / "package/__pycache__/a.pyc").write_bytes(b"compiled")
    (parts / "elsewhere.py").write_text("b = 2\n")
    assert image(parts).reference == before
    assert before.startswith(f"{images.REGISTRY}/thing:")


@pytest.mark.parametrize("path", ["Dockerfile", "package/a.py", "package/new.py"])
def test_other_content_has_another_name(parts: Path, path: str) -> None:
    before = image(parts).reference
    (parts / path).write_text("changed\n")
    assert image(parts).reference != before


def test_a_renamed_file_is_other_content(parts: Path) -> None:
    before = image(parts).reference
    (parts / "package/a.py").rename(parts / "package/b.py")
    assert image(parts).reference != before


def test_only_the_packages_of_the_image_count() -> None:
    crm, operator = IMAGES["crm"], IMAGES["operator"]
    packages = {name: images._locked(IMAGES[name].requirements) for name in ("crm", "operator", "broker")}
    assert "django==" in packages["crm"]
    assert "kopf==" in packages["operator"]
    for name in ("operator", "broker"):
        assert "django==" not in packages[name]
    assert all("pytest==" not in each and "--hash=sha256:" in each for each in packages.values())
    assert replace(crm, requirements=operator.requirements).fingerprint != crm.fingerprint


def test_every_image_names_files_that_are_there() -> None:
    for each in IMAGES.values():
        assert each.dockerfile.exists(), each.name
        assert all(path.exists() for path in each.inputs), each.name
        assert not each.base or each.base in IMAGES


def test_the_gateway_of_a_cluster_that_is_not_ours_takes_any_address_and_a_pulled_image() -> None:
    text = gateway("registry.example.com/guestpost/gateway:1")
    assert "clusterIP" not in text
    assert "image: registry.example.com/guestpost/gateway:1" in text
    assert "imagePullPolicy: IfNotPresent" in text
