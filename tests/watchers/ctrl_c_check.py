#!/usr/bin/env python3
"""ctrl_c_check.py PROGRAM - a terminal of its own, and somebody who presses ctrl-C there, once or twice."""
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios

program = sys.argv[1]
failed = 0


def take_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def ignore_sigint():
    take_terminal()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def wrong_about(how, steps, status, before=take_terminal):
    """steps: a line that must come, or a function called with the terminal and the process."""
    keys, screen = pty.openpty()
    process = subprocess.Popen([program, how], stdin=screen, stdout=subprocess.PIPE, text=True, preexec_fn=before)
    os.close(screen)
    wrong = None
    for step in steps:
        if callable(step):
            step(keys, process)
        elif (line := process.stdout.readline().strip()) != step:
            wrong = f"{line!r}, not {step!r}"
            process.kill()
            break
    rest = process.stdout.read()
    ended = process.wait(timeout=60)
    os.close(keys)
    if wrong is None and (ended != status or rest):
        wrong = f"status {ended}, not {status}; {rest!r}"
    return wrong


def press(keys, process):
    os.write(keys, b"\x03")


def terminate(keys, process):
    process.terminate()


CASES = {
    "ctrl_c_ends_the_program_in_order": ("orderly", ["ready", press, "cancelled", "ended in order"], 0),
    "a_second_ctrl_c_ends_a_stubborn_one": ("stubborn", ["ready", press, "cancelled", press], -signal.SIGINT),
    "sigterm_ends_it_in_order": ("orderly", ["ready", terminate, "cancelled", "ended in order"], 0),
    "sigterm_after_ctrl_c_ends_a_stubborn_one": (
        "stubborn", ["ready", press, "cancelled", terminate], -signal.SIGTERM),
    "ctrl_c_is_ignored_where_the_starter_wants_it": (
        "orderly", ["ready", press, press, terminate, "cancelled", "ended in order"], 0, ignore_sigint),
}
for name, case in CASES.items():
    wrong = wrong_about(*case)
    print("ok   " + name if wrong is None else f"FAIL {name}: {wrong}")
    failed += wrong is not None
sys.exit(failed > 0)
