"""An image's name says what it is made from, and changes with nothing else; old archives go."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from localkube import addons, binaries, images, paths
from localkube.images import IMAGES, Image, ImageError


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


def test_another_tag_is_another_archive(parts: Path) -> None:
    """An archive knows its image by its whole name."""
    released = replace(image(parts), tag_prefix="0.1.0-")
    assert released.reference.startswith(f"{images.REGISTRY}/thing:0.1.0-")
    assert released.archive != image(parts).archive


def test_a_renamed_file_is_other_content(parts: Path) -> None:
    before = image(parts).reference
    (parts / "package/a.py").rename(parts / "package/b.py")
    assert image(parts).reference != before


def test_what_was_done_to_the_files_but_not_to_their_content_changes_nothing(
    parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = image(parts).reference
    os.utime(parts / "package/a.py", (1, 1))
    (parts / "package/a.py").chmod(0o600)
    # Another checkout, below a folder whose name is not copied into images.
    elsewhere = parts / "__pycache__/elsewhere"
    for name in ("Dockerfile", "package/a.py"):
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(parts / name, elsewhere / name)
    monkeypatch.setattr(paths, "ROOT", elsewhere)
    assert image(elsewhere).reference == before


def test_an_executable_file_is_other_content(parts: Path) -> None:
    before = image(parts).reference
    (parts / "package/a.py").chmod(0o755)
    assert image(parts).reference != before


NAMES = st.lists(st.sampled_from(["a", "b", "ab", "ba.py"]), min_size=1, max_size=2).map("/".join)
TREES = st.dictionaries(NAMES, st.binary(max_size=3), max_size=3)


def fingerprint_of(tree: dict[str, bytes]) -> str | None:
    """Of an image that holds the tree; None where a name would be a file and a folder."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        root = Path(folder)
        patch.setattr(paths, "ROOT", root)
        (root / "Dockerfile").write_text("FROM scratch\n")
        (root / "package").mkdir()
        try:
            for name, content in tree.items():
                (root / "package" / name).parent.mkdir(parents=True, exist_ok=True)
                (root / "package" / name).write_bytes(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            return None
        return image(root).fingerprint


@given(one=TREES, other=TREES)
def test_two_contents_have_one_name_only_if_they_are_one(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    names = fingerprint_of(one), fingerprint_of(other)
    if None not in names:
        assert (names[0] == names[1]) == (one == other)


def test_another_base_or_program_is_another_image(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for text in ("one", "two"):
        (parts / "Base").write_text(text)
        monkeypatch.setitem(IMAGES, "python", Image("python", parts / "Base"))
        seen.append(replace(image(parts), base="python").fingerprint)
    for program in ("one", "two"):
        monkeypatch.setattr(binaries, "fingerprint", lambda name, program=program: f"{name} {program}")
        seen.append(replace(image(parts), program="pause").fingerprint)
    assert len({*seen, image(parts).fingerprint}) == 5


def test_where_the_cache_lies_changes_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = replace(IMAGES["pubsub-standin"]).reference
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert replace(IMAGES["pubsub-standin"]).reference == before


@pytest.fixture
def project(parts: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Project files beside the parts, and a `uv` that exports what the file `exported` holds."""
    files = (parts / "pyproject.toml", parts / "uv.lock")
    for path in (*files, parts / "exported"):
        path.write_text("django==5.2\n")
    monkeypatch.setattr(images, "_PROJECT", files)
    for name, script in (("dev/bootstrap", f"echo {parts}/uv"), ("uv", f"cat {parts}/exported")):
        (parts / name).parent.mkdir(exist_ok=True)
        (parts / name).write_text(f"#!/bin/sh\n{script}\n")
        (parts / name).chmod(0o755)
    return parts


def installing(root: Path) -> Image:
    inputs = (*images._PROJECT, root / "package")
    return Image("thing", root / "Dockerfile", inputs, requirements=("--extra", "crm"))


def test_a_dependency_of_something_else_changes_no_name(project: Path) -> None:
    before = installing(project).reference
    for name in ("pyproject.toml", "uv.lock"):
        (project / name).write_text("django==5.2\npytest==9.2\n")
    assert installing(project).reference == before
    (project / "exported").write_text("django==5.3\n")
    assert installing(project).reference != before


def test_without_uv_or_with_a_lock_that_it_refuses_it_says_so(project: Path) -> None:
    (project / "uv").write_text("#!/bin/sh\necho 'Failed to parse uv.lock' >&2; exit 2\n")
    with pytest.raises(ImageError, match=r"Failed to parse uv\.lock"):
        installing(project).reference  # noqa: B018 - asking is what fails
    (project / "uv").unlink()
    with pytest.raises(ImageError, match="run dev/bootstrap"):
        installing(project).reference  # noqa: B018


def test_dockerfiles_install_what_the_names_are_made_from() -> None:
    asking = [each for each in IMAGES.values() if each.requirements]
    assert {each.name for each in asking} == {"operator", "crm", "broker", "dashboard", "google-standin"}
    for each in asking:
        words = " ".join(each.requirements)
        assert f"uv export --frozen {words} --no-emit-project --output-file" in each.dockerfile.read_text()


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


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Archives of some images, the highest number used last."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "guestpost/images"
    folder.mkdir(parents=True)
    for name in ("thing", "thing-two"):
        for used in range(5):
            path = folder / f"{name}-{used:012x}.tar"
            path.write_text(name)
            os.utime(path, (used, used))
    (folder / "thing-readme.tar").write_text("not an archive of ours")
    return folder


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    monkeypatch.setattr(images, "_buildah", lambda *words: asked.append(" ".join(words)))
    return asked


def test_the_archives_used_last_stay(archives: Path, parts: Path, removed: list[str]) -> None:
    images._forget_old(Image("thing", parts / "Dockerfile", tag_prefix="17-"))
    left = {path.name for path in archives.glob("thing-*")}
    assert left == {
        *(f"thing-{used:012x}.tar" for used in (2, 3, 4)),
        *(f"thing-two-{used:012x}.tar" for used in range(5)),
        "thing-readme.tar",
    }
    assert removed == [f"rmi guestpost.local/thing:17-{used:012x}" for used in (1, 0)]


def test_a_use_keeps_an_archive(archives: Path, parts: Path, removed: list[str]) -> None:
    assert images._used(archives / f"thing-{0:012x}.tar")
    images._forget_old(Image("thing", parts / "Dockerfile"))
    assert (archives / f"thing-{0:012x}.tar").exists()
    assert not (archives / f"thing-{2:012x}.tar").exists()


def test_an_image_with_a_name_of_its_own_keeps_it(archives: Path, parts: Path, removed: list[str]) -> None:
    images._forget_old(Image("thing", parts / "Dockerfile", fixed_tag="1"))
    assert len(list(archives.glob("thing-0*"))) == 3
    assert removed == []


def test_an_archive_that_was_thrown_away_meanwhile_is_built_again(
    archives: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = image(parts)
    monkeypatch.setitem(IMAGES, "thing", wanted)
    built: list[str] = []

    def build(each: Image) -> None:
        built.append(each.name)
        # The first one is gone again before it is used.
        if len(built) > 1:
            each.archive.write_text("whole")

    monkeypatch.setattr(images, "_build", build)
    assert images.build("thing").archive.read_text() == "whole"
    assert built == ["thing", "thing"]


def test_an_image_without_a_dockerfile_is_left_out_and_told(
    parts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(IMAGES, "thing", image(parts))
    (parts / "Dockerfile").unlink()
    assert images.build_all(["thing"]) == {}
    assert "no Dockerfile yet: image thing is left out" in capsys.readouterr().err
    with pytest.raises(ImageError, match="is missing"):
        images.build("thing")


def test_pushed_images_keep_their_tags(monkeypatch: pytest.MonkeyPatch, removed: list[str]) -> None:
    references = {name: f"{images.REGISTRY}/{name}:abc" for name in ("pause", "nginx")}
    monkeypatch.setattr(images, "build_all", lambda _: references)
    assert images.push(["pause", "nginx"], "registry.example.com/team") == {
        "pause": "registry.example.com/team/pause:abc",
        "nginx": "registry.example.com/team/nginx:abc",
    }
    assert removed[0].endswith("docker://registry.example.com/team/pause:abc")


def test_every_cache_has_its_own_record_of_mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "buildah").write_text('#!/bin/sh\necho "$4"\n')
    (tmp_path / "buildah").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    seen = set()
    for cache in ("one", "two", "one"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
        seen.add(images._buildah("images"))
    assert len(seen) == 2
    assert all(each.startswith("/run/") for each in seen)


def test_what_buildah_says_is_in_the_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "buildah").write_text("#!/bin/sh\necho 'no space left on device' >&2; exit 125\n")
    (tmp_path / "buildah").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ImageError, match=r"buildah bud:\nno space left on device"):
        images._buildah("bud")


def test_the_gateway_of_a_cluster_that_is_not_ours_takes_any_address_and_a_pulled_image() -> None:
    namespace, service, deployment = yaml.safe_load_all(addons.gateway("registry.example.com/team/gateway:1"))
    assert namespace["metadata"]["labels"] == {
        "guestpostcrm.com/placed-by": "localkube",
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    assert service["spec"].keys() == {"selector", "ports"}
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/team/gateway:1"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert {each["metadata"].get("namespace", "gateway") for each in (namespace, service, deployment)} == {
        "gateway"
    }


def test_a_local_clusters_addons_use_the_images_built_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addons, "_cloudnative_pg", lambda: "kind: Deployment")
    text = addons._manifests(Path("/state/clusters/demo"))
    for name in ("gateway", "local-path-provisioner", "python"):
        assert f"image: {IMAGES[name].reference}" in text
    assert "/state/clusters/demo/volumes" in text
    assert "VOLUMES_FOLDER" not in text
    services = [each for each in yaml.safe_load_all(text) if each["kind"] == "Service"]
    assert [each["spec"]["clusterIP"] for each in services] == ["10.96.0.80"]
