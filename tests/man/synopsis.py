#!/usr/bin/env python3
"""synopsis.py - what a man page says to include can be included, and declares the page's name.

usage: synopsis.py INCLUDE_DIRECTORY PAGE... -- COMPILER..."""
import pathlib
import re
import subprocess
import sys

include, *rest = sys.argv[1:]
split = rest.index("--")
pages, compiler = [pathlib.Path(page) for page in rest[:split]], rest[split + 1:]
named = {}
for page in pages:
    lines = tuple(re.findall(r"#include <\S+>", page.read_text()))
    named.setdefault(lines, []).append(page.stem)

failed = 0
for lines, names in named.items():
    uses = [f"#ifndef {name}\nstatic void *const use_{name} __attribute__((unused)) = (void *){name};\n#endif"
            for name in names if name != "ouro"]
    source = "\n".join([*lines, *uses, ""])
    run = subprocess.run([*compiler, f"-I{include}", "-std=gnu11", "-fsyntax-only", "-x", "c", "-"], input=source,
                         text=True, capture_output=True, check=False)
    if not lines or run.returncode != 0:
        print(f"{lines}: {run.stderr or 'nothing to include'}")
        failed += 1
print(f"{len(named)} kinds of synopsis, {failed} faulty")
sys.exit(failed > 0 or not named)
