"""The house rules that no linter knows, held over every file that git knows or would add.

Run as `python -m tools.house`; prints each breach as `file:line: rule` and exits 1 when there is one.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINES_AT_MOST = 400
GENERATED = re.compile(r"^(requirements.*\.txt|LICENSE|schemas/openapi-.*\.json)$")

FORBIDDEN = {
    "an address of a package registry (each machine has its own)": re.compile(
        r"https?://[^\s/]*(pypi|pythonhosted|npmjs|maven|crates\.|proxy\.golang)|-index-url[ =]http", re.IGNORECASE
    ),
    "a path of one machine": re.compile(r"(?<![\w.])/(home|Users)/\w+/|(?<![\w.])/root/"),
    "a skipped test (mend it or delete it)": re.compile(r"pytest\.(mark\.skip|skip|mark\.xfail|xfail|importorskip)\b"),
}


def files() -> Iterator[Path]:
    """Every file of the project, tracked or not yet."""
    known = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    listed = subprocess.run(known, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = sorted(set(listed.split("\0")) - {""})
    return (path for path in map(ROOT.joinpath, names) if path.is_file() and path != Path(__file__).resolve())


def breaches(path: Path) -> Iterator[str]:
    """What is wrong with one file, as `file:line: rule`."""
    name = path.relative_to(ROOT).as_posix()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:  # a picture
        return
    if len(lines) > LINES_AT_MOST and not GENERATED.match(name):
        yield f"{name}:{len(lines)}: more than {LINES_AT_MOST} lines"
    for number, line in enumerate(lines, 1):
        yield from (f"{name}:{number}: {rule}" for rule, pattern in FORBIDDEN.items() if pattern.search(line))


def main() -> int:
    found = [breach for path in files() for breach in breaches(path)]
    print("\n".join(found) if found else "house rules kept")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
