"""Rules of this repository that no linter knows: `check_repository.py [root]`.

Prints each breach and exits with 1 when there is one.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CODE = {".py", ".j2", ".html", ".js", ".css", ".go"}
MOST_LINES = 400
# Made by tools, or by others.
FOREIGN = {"vendor", "migrations"}
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# Not within an address, and without the full stop of a sentence.
MENTION = re.compile(r"(?<![\w./-])docs/[\w./-]*\w")
PROMISE = re.compile(r"^\| (P\d+\.\d+) \|", re.MULTILINE)
TARGET = re.compile(r"^\.PHONY: (.+)$", re.MULTILINE)


def tracked(root: Path) -> dict[Path, str]:
    """The text of every file that git tracks or would track, by its path relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (Path(name) for name in listing.split("\0") if name)
    return {
        path: (root / path).read_text(encoding="utf-8", errors="replace")
        for path in paths
        if (root / path).is_file()
    }


def long_files(files: dict[Path, str]) -> Iterator[str]:
    """Code that has outgrown one sitting."""
    for path, text in files.items():
        count = len(text.splitlines())
        if path.suffix in CODE and not FOREIGN & set(path.parts) and count > MOST_LINES:
            yield f"{path}: {count} lines; split it by concern (at most {MOST_LINES})"


def dead_links(root: Path, files: dict[Path, str]) -> Iterator[str]:
    """Relative links of the documentation that lead to no file, or to no heading in it."""
    for path, text in files.items():
        if path.suffix != ".md":
            continue
        for target, heading in LINK.findall(FENCE.sub("", text)):
            if "://" in target or target.startswith("mailto:"):
                continue
            found = root / path.parent / target if target else root / path
            if not found.exists():
                yield f"{path}: link to {target} leads nowhere"
            elif heading and found.suffix == ".md" and heading not in anchors(found.read_text("utf-8")):
                yield f"{path}: {target or path.name} has no heading #{heading}"


def anchors(text: str) -> set[str]:
    """What the headings of a Markdown file are called in links, as GitHub does it."""
    headings = HEADING.findall(FENCE.sub("", text))
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", each).lower() for each in headings)
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in plain}


def dead_mentions(root: Path, files: dict[Path, str]) -> Iterator[str]:
    """Pages below docs/ that code or documentation names and that are not there."""
    for path, text in files.items():
        if FOREIGN & set(path.parts) or path.suffix in {".lock", ".sum"}:
            continue
        for name in sorted(set(MENTION.findall(text))):
            if not (root / name).exists():
                yield f"{path}: names {name}, which is not there"


def shadowed_modules(files: dict[Path, str]) -> Iterator[str]:
    """An `operator/__init__.py` would shadow the standard library's operator module."""
    if Path("operator/__init__.py") in files:
        yield "operator/__init__.py shadows the standard library's operator module: remove it"


def unlisted(files: dict[Path, str]) -> Iterator[str]:
    """Decision records and benchmarks that their folder's README does not name."""
    for folder, suffix, word in (("docs/decisions", ".md", "{}.md"), ("benchmarks", ".py", "`{}.")):
        index = files.get(Path(folder, "README.md"), "")
        for path, text in files.items():
            program = suffix != ".py" or "__main__" in text
            ours = path.parent == Path(folder) and path.suffix == suffix and path.stem != "README"
            if ours and program and word.format(path.stem) not in index:
                yield f"{path}: name it in {folder}/README.md"


def unexplained_targets(files: dict[Path, str]) -> Iterator[str]:
    """Targets of the Makefile that `make help` would not list."""
    makefile = files.get(Path("Makefile"), "")
    for target in " ".join(TARGET.findall(makefile)).split():
        if not re.search(rf"^{re.escape(target)}:.*## \S", makefile, re.MULTILINE):
            yield f"Makefile: say after ## what {target} does"


def open_promises(files: dict[Path, str]) -> Iterator[str]:
    """Customers' promises that no test is marked to prove."""
    tests = "".join(text for path, text in files.items() if path.parts[0] == "tests" and path.suffix == ".py")
    for name in PROMISE.findall(files.get(Path("docs/promises.md"), "")):
        if f'promise("{name}")' not in tests:
            yield f"docs/promises.md: no test proves {name}"


def main(root: Path) -> int:
    """Check everything and report."""
    files = tracked(root)
    breaches = [
        *long_files(files),
        *dead_links(root, files),
        *dead_mentions(root, files),
        *shadowed_modules(files),
        *unlisted(files),
        *unexplained_targets(files),
        *open_promises(files),
    ]
    for breach in breaches:
        print(breach, file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent))
