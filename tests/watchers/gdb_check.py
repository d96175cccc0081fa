#!/usr/bin/env python3
"""gdb_check.py GDB_SCRIPT PROGRAM - f63: gdb lists the tasks, and shows a suspended one's stack from end to end."""
import re
import shutil
import subprocess
import sys

failed = 0


def check(holds, what, seen=""):
    global failed
    print(("ok   " if holds else "FAIL ") + what)
    if not holds:
        print(seen)
        failed += 1


def gdb(*commands):
    arguments = ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "set confirm off",
                 "-ex", "set startup-with-shell off", "-ex", "break stop_here", "-ex", "run", "-x", script]
    for command in commands:
        arguments += ["-ex", command]
    return subprocess.run(arguments + [program], capture_output=True, text=True, timeout=100).stdout


script, program = sys.argv[1:3]
if not shutil.which("gdb"):
    print("gdb is not here")
    sys.exit(77)

listed = gdb("ouro tasks")
lines = re.findall(r"^ *(\d+)  (.{32})  (.{12})  (.{8})  (\S+)(?:  (.*))?$", listed, re.M)
tasks = {name: (int(slot), state.strip()) for slot, state, _, _, name, _ in lines}
rest = {name: (waited.strip(), parent.strip(), site) for _, _, waited, parent, name, site in lines}
check(set(tasks) == {"main", "waits_for_a_byte", "sleeps"}, "f63_all_tasks_are_listed_by_name", listed)
check(all(re.match(r"looks, .*gdb_target\.c:\d+$", rest.get(name, ("", "", ""))[2]) for name in ("waits_for_a_byte", "sleeps")),
      "f63_the_place_of_creation_is_told", listed)
check(rest.get("sleeps", ("", ""))[1] == str(tasks.get("main", ("?",))[0]) and rest.get("main", ("?",) * 2)[1] == "",
      "f63_the_parent_is_told", listed)
check(re.match(r"\d+\.\d ms$", rest.get("sleeps", ("",))[0]) and rest.get("main", ("?",))[0] == "",
      "f63_for_how_long_they_wait_is_told", listed)
check(tasks.get("waits_for_a_byte", (0, ""))[1] == "waits for an item in a channel"
      and tasks.get("sleeps", (0, ""))[1] == "waits for time", "f63_what_they_wait_for_is_told", listed)

slot = tasks.get("sleeps", (0, ""))[0]
shown = gdb(f"ouro locals {slot}", f"ouro locals {tasks.get('main', (0,))[0]}")
check(re.findall(r"^(.*) = (0x\w+)$", shown, re.M) == [("a number", "0x2a")] * 2, "f63_task_locals_are_shown", shown)

slot = tasks.get("waits_for_a_byte", (0, ""))[0]
shown = gdb(f"ouro bt {slot}", "backtrace 1", "continue")
frames = re.findall(r"^#\d+ .*?(\w+) \(", shown, re.M)
depths = [frames.index(name) if name in frames else -1
          for name in ("innermost", "middle", "waits_for_a_byte", "switch_start")]
check(-1 not in depths and depths == sorted(depths), "f63_backtrace_of_a_suspended_task_is_complete", shown)
check("corrupt stack" not in shown and "Cannot access" not in shown, "f63_backtrace_ends_at_the_tasks_entry", shown)
check("exited normally" in shown, "f63_the_program_goes_on_after_it", shown)
sys.exit(failed > 0)
