"""What the scripts that write tests/golden/ share: a script writes its files, or with --check compares them with what it computes anew."""

import argparse
import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden"


def differences(a, b, bound, where=""):
    """Where two JSON values differ: numbers by more than `bound(where)`, relative where they are above 1."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            yield from differences(a[key], b[key], bound, f"{where}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from differences(x, y, bound, f"{where}[{i}]")
    elif isinstance(a, (int, float)) and isinstance(b, (int, float)):
        if not (a == b or abs(a - b) <= bound(where) * max(1, abs(a))):
            yield f"{where}: {a} and not {b}"
    elif a != b:
        yield f"{where}: another shape or text"


def write_or_check(about, files, bound=None):
    """Writes the files, or compares them; returns the exit code.

    `files` is name -> function that returns the text. Texts are the same to the letter, or as JSON within `bound`.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compute anew and compare with what is there; write nothing")
    check = parser.parse_args().check
    failed = False
    for name, make in files.items():
        path, text = FOLDER / name, make()
        new = json.loads(text)
        if not check:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"{name}: {len(text)} bytes")
            continue
        old = path.read_text(encoding="utf-8")
        if bound is not None:
            found = list(differences(json.loads(old), new, bound))
        else:
            found = [] if old == text else [": DIFFERS"]
        failed |= bool(found)
        print("\n".join(f"{name}{line}" for line in found) or f"{name}: the same")
    return 1 if failed else 0
