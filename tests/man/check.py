#!/usr/bin/env python3
"""check.py - each man page is read by groff without a warning and is not empty.

usage: check.py GROFF PAGE..."""
import subprocess
import sys

groff, *pages = sys.argv[1:]
failed = 0
for page in pages:
    run = subprocess.run([groff, "-man", "-Tascii", "-P-cbou", "-ww", page], capture_output=True, text=True, check=False)
    if run.returncode != 0 or run.stderr or "DESCRIPTION" not in run.stdout:
        print(f"{page}: {run.stderr or 'no description'}")
        failed += 1
print(f"{failed} of {len(pages)} pages are faulty")
sys.exit(failed > 0 or not pages)
