#!/usr/bin/env python3
"""docs.py ROOT COMPILER... - the guide's C blocks compile, its links and contents are right, the reference is whole.

ROOT is the source tree. Each block stands for itself: it sees ouro.h and the usual headers, no other block."""
import pathlib
import re
import subprocess
import sys

PRELUDE = """#include <ouro.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
"""
FLAGS = "-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wconversion -Werror -Wno-unused-function -fsyntax-only -x c -".split()

root, compiler = pathlib.Path(sys.argv[1]), sys.argv[2:]
guide = root / "docs/guide.md"
wrong = []


def compile_blocks():
    blocks = list(re.finditer(r"^```c\n(.*?)^```", guide.read_text(), re.M | re.S))
    for block in blocks:
        line = guide.read_text()[: block.start()].count("\n") + 2
        source = f'{PRELUDE}#line {line} "guide.md"\n{block[1]}'
        done = subprocess.run([*compiler, f"-I{root}/lib/include", *FLAGS], input=source, text=True, capture_output=True)
        if done.returncode != 0:
            wrong.append(done.stderr)
    return len(blocks)


def anchor(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def follow_links():
    for page in (root / "docs").rglob("*.md"):
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            path, _, fragment = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if ":" in path:
                continue
            if not target.exists():
                wrong.append(f"{page}: {link} leads nowhere")
            elif fragment and fragment not in map(anchor, re.findall(r"^#+ (.+)$", target.read_text(), re.M)):
                wrong.append(f"{page}: {link}: no such heading")


def contents_of_guide():
    """All chapters are listed before the first, in order."""
    chapters = re.findall(r"^## (.+)$", guide.read_text(), re.M)
    listed = re.findall(r"^\d+\. \[(.+?)\]", guide.read_text(), re.M)
    if listed != chapters:
        wrong.append(f"guide.md lists {listed}, its chapters are {chapters}")


def names_of_reference():
    include = root / "lib/include"
    header = "".join(file.read_text() for file in sorted(include.rglob("*.h")) if file.name != "executor.h")
    reference = (root / "docs/reference.md").read_text()
    declared = set(re.findall(r"^OURO_API [^;]*?\b(ouro_\w+)\(", header, re.M))
    declared |= set(re.findall(r"^#define (ouro_\w+)\(", header, re.M))
    listed = set(re.findall(r"^\| `(ouro_\w+)`", reference, re.M))
    wrong.extend(f"reference.md lacks {name}" for name in sorted(declared - listed))
    wrong.extend(f"reference.md has {name}, ouro.h has not" for name in sorted(listed - declared) if name not in header)
    return len(declared)


blocks, names = compile_blocks(), names_of_reference()
follow_links()
contents_of_guide()
print("\n".join(wrong) if wrong else f"{blocks} blocks, {names} names")
sys.exit(bool(wrong) or blocks == 0 or names == 0)
