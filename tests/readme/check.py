#!/usr/bin/env python3
"""check.py - a code block of a Markdown file that names a file is that file, byte for byte.

A block is marked by a line of its own before it that ends with the name in backquotes and a colon, like

    The server, `docs/examples/echo.c`:

or by its first fence, like ```c docs/examples/echo.c. A marked name without a block, or one that does not
exist, fails; so does a README that shows no file at all.

usage: check.py SOURCE_ROOT"""
import pathlib
import re
import sys

MARK = re.compile(r"`([\w./-]+\.[ch])`:\s*$")
FENCE = re.compile(r"^```\w*\s*(\S*)\s*$")


def blocks(lines):
    """(line number, name, text) of each marked block."""
    mark, start, inside = "", 0, None
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if inside is not None:
            if fence:
                if mark:
                    yield start, mark, "".join(text + "\n" for text in inside)
                mark, inside = "", None
            else:
                inside.append(line)
        elif fence:
            mark, start, inside = fence[1] or mark, number, []
        elif match := MARK.search(line):
            mark = match[1]
        elif line.strip():
            if mark:
                yield number, mark, None
            mark = ""
    if inside is not None or mark:
        yield len(lines), mark or "a block", None


def main(root):
    passed = failed = 0
    for document in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for number, name, text in blocks(document.read_text(encoding="utf-8").split("\n")):
            path = root / name
            if text is None:
                problem = "is announced, but no block follows"
            elif not path.is_file():
                problem = "does not exist"
            elif path.read_text(encoding="utf-8") != text:
                problem = "differs from the block"
            else:
                passed += 1
                continue
            failed += 1
            print(f"{document.name}:{number}: {name} {problem}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
