#!/usr/bin/env python3
"""tally.py - count single tests over the logs of several `meson test` runs.

To meson a Criterion program is one test; here each of its tests counts. A script that ends with a line
"N passed, N failed" is counted by that line, TAP by its lines, anything else as one. A program that meson
calls failed counts as one failure at least, whatever it printed: it may have died before its summary.

usage: tally.py BUILD_DIRECTORY...
The last line is "N passed, N failed"; the exit status is 0 if some passed and none failed."""
import glob
import json
import re
import sys

CRITERION = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \|")
LATE = re.compile(r"crashed during its setup or teardown")  # Criterion counts such a test as passed
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
        late = len(LATE.findall(text))
        passed = sum(int(passing) for _, passing in found) - late
        failed = sum(int(tested) - int(passing) for tested, passing in found) + late
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


def main(directories):
    total = [0, 0, 0]
    for path in sorted(path for name in directories for path in glob.glob(f"{name}/meson-logs/testlog-*.json")):
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
