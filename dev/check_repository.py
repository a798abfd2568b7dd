"""Rules of this repository that no linter knows.

Prints each breach and exits with 1 when there is one.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = {".py", ".j2", ".html", ".js", ".css"}
MOST_LINES = 400
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def tracked() -> list[Path]:
    """The files that git tracks or would track, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for line in listing.splitlines() if (path := Path(line)) and (ROOT / path).is_file()]


def long_files(files: list[Path]) -> Iterator[str]:
    """Code that has outgrown one sitting."""
    for path in files:
        if path.suffix in CODE and "vendor" not in path.parts and "migrations" not in path.parts:
            count = len((ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines())
            if count > MOST_LINES:
                yield f"{path}: {count} lines; split it by concern (at most {MOST_LINES})"


def dead_links(files: list[Path]) -> Iterator[str]:
    """Relative links of the documentation that lead nowhere."""
    for path in files:
        if path.suffix != ".md":
            continue
        for target in LINK.findall((ROOT / path).read_text(encoding="utf-8")):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (ROOT / path.parent / target).exists():
                yield f"{path}: link to {target} leads nowhere"


def shadowed_modules() -> Iterator[str]:
    """An `operator/__init__.py` would shadow the standard library's operator module."""
    if (ROOT / "operator" / "__init__.py").exists():
        yield "operator/__init__.py shadows the standard library's operator module: remove it"


def unlisted_decisions(files: list[Path]) -> Iterator[str]:
    """Decision records that the index does not name."""
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    for path in files:
        if path.parent == Path("docs/decisions") and path.name != "README.md" and path.name not in index:
            yield f"{path}: name it in docs/decisions/README.md"


def main() -> int:
    """Check everything and report."""
    files = tracked()
    breaches = [
        *long_files(files),
        *dead_links(files),
        *shadowed_modules(),
        *unlisted_decisions(files),
    ]
    for breach in breaches:
        print(breach, file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
