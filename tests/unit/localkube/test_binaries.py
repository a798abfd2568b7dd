"""Programs are built once for what they are made from, by a Go that only writes down what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from localkube import binaries, paths
from localkube.binaries import BuildError, Program

GO = """#!/bin/sh
echo "$*" >> {folder}/calls
case "$1" in
  env) echo go1.26.8;;
  build) [ ! -e {folder}/broken ] || {{ echo 'main.go:3: undefined: x' >&2; exit 1; }}
    while [ "$1" != -o ]; do shift; done; echo program > "$2";;
  list) echo {folder}/sources;;
esac
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module, a cache of its own, and a `go` that compiles nothing."""
    program = tmp_path / "path/go"
    program.parent.mkdir()
    program.write_text(GO.format(folder=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(binaries, "PROGRAMS", {"thing": module(tmp_path / "module")})
    version = binaries._go_version
    version.cache_clear()
    yield tmp_path
    version.cache_clear()


def module(folder: Path) -> Program:
    (folder / "inner").mkdir(parents=True)
    for name in ("go.mod", "go.sum", "main.go", "inner/inner.go"):
        (folder / name).write_text(f"{name}\n")
    return Program(folder, "example.com/thing")


def builds(go: Path) -> list[str]:
    return [line for line in (go / "calls").read_text().splitlines() if line.startswith("build")]


def test_a_program_is_built_once(go: Path) -> None:
    path = binaries.ensure("thing")["thing"]
    assert path.read_text() == "program\n"
    assert binaries.ensure("thing", "thing") == {"thing": path}
    assert len(builds(go)) == 1
    assert "-mod=readonly" in builds(go)[0].split()


def test_what_an_interrupted_build_left_is_not_taken_for_a_program(go: Path) -> None:
    folder = paths.cache() / f"bin/thing-{binaries.fingerprint('thing')}"
    folder.mkdir(parents=True)
    (folder / "thing.unfinished").write_text("half")
    assert binaries.ensure("thing")["thing"].read_text() == "program\n"
    assert [path.name for path in folder.iterdir()] == ["thing"]


def test_a_failed_build_says_what_the_compiler_said_and_leaves_no_program(go: Path) -> None:
    (go / "broken").touch()
    with pytest.raises(BuildError, match=r"main\.go:3: undefined: x"):
        binaries.ensure("thing")
    (go / "broken").unlink()
    assert binaries.ensure("thing")["thing"].exists()


def test_without_go_it_says_what_to_install(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BuildError, match=r"install Go 1\.26 or newer"):
        binaries.ensure("thing")


def test_the_folder_of_a_modules_sources_is_what_go_tells(go: Path) -> None:
    assert binaries.module_folder("thing") == go / "sources"


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "main.go", "inner/inner.go", "inner/new.go"])
def test_the_fingerprint_changes_with_each_source(go: Path, name: str) -> None:
    before = binaries.fingerprint("thing")
    (go / "module" / name).write_text("changed\n")
    assert binaries.fingerprint("thing") != before


def test_the_fingerprint_changes_with_what_is_asked_of_go(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = binaries.PROGRAMS["thing"]
    seen = {binaries.fingerprint("thing")}
    for other in (replace(program, ldflags="-X v=2"), replace(program, package="example.com/other")):
        monkeypatch.setitem(binaries.PROGRAMS, "thing", other)
        seen.add(binaries.fingerprint("thing"))
    monkeypatch.setitem(binaries.PROGRAMS, "thing", program)
    monkeypatch.setattr(binaries, "_go_version", lambda: "go1.27.0")
    seen.add(binaries.fingerprint("thing"))
    assert len(seen) == 4


def test_the_fingerprint_is_the_same_elsewhere(
    go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = binaries.fingerprint("thing")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/else")
    monkeypatch.setitem(binaries.PROGRAMS, "thing", module(tmp_path / "checkout"))
    (tmp_path / "checkout/README.md").write_text("no source\n")
    assert binaries.fingerprint("thing") == before


@given(name=st.sampled_from(sorted(binaries.PROGRAMS)))
def test_every_program_is_pinned_with_checksums(name: str) -> None:
    program = binaries.PROGRAMS[name]
    required = (program.module / "go.mod").read_text()
    assert (program.module / "go.sum").exists()
    if program.package != ".":
        assert "/".join(program.package.split("/")[:3]) in required
