#!/usr/bin/env python3
"""tally.py - count single tests over the logs of several `meson test` runs.

To meson a Criterion program is one test; here each of its tests counts. A script that ends with a line
"N passed, N failed" is counted by that line, TAP by its lines, anything else as one. A program that meson
calls failed counts as one failure at least, whatever it printed: it may have died before its summary.

usage: tally.py testlog.json...     The last line is "N passed, N failed"; the exit status tells likewise."""
import json
import re
import sys

CRITERION = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
PLAIN = re.compile(r"^(?:\S+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", re.M)
TAP = re.compile(r"^(not )?ok\b(?!.*# *skip)", re.M | re.I)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def count(test):
    """(passed, failed, skipped) of one program."""
    text = COLOURS.sub("", (test.get("stdout") or "") + "\n" + (test.get("stderr") or ""))
    if test["result"] == "SKIP":
        return 0, 0, 1
    passed = failed = skipped = 0
    if found := CRITERION.findall(text):
        for _, passing, failing, crashing in found:
            passed += int(passing)
            failed += int(failing) + int(crashing)
    elif found := PLAIN.findall(text):
        passed, failed, skipped = (int(number or 0) for number in found[-1])
    elif found := TAP.findall(text):
        failed = sum(1 for bad in found if bad)
        passed = len(found) - failed
    elif test["result"] == "OK":
        passed = 1
    if test["result"] not in ("OK", "EXPECTEDFAIL") and failed == 0:
        failed = 1
    return passed, failed, skipped


def main(paths):
    total = [0, 0, 0]
    for path in paths:
        here = [0, 0, 0]
        with open(path, encoding="utf-8") as log:
            for line in log:
                test = json.loads(line)
                numbers = count(test)
                here = [a + b for a, b in zip(here, numbers)]
                if numbers[1]:
                    print(f"FAILED: {test['name']} ({test['result']}) in {path}")
        print(f"{path}: passed {here[0]}, failed {here[1]}, skipped {here[2]}")
        total = [a + b for a, b in zip(total, here)]
    if total[2]:
        print(f"{total[2]} skipped")
    print(f"{total[0]} passed, {total[1]} failed")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
