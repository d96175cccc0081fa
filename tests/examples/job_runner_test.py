#!/usr/bin/env python3
"""job_runner_test.py PROGRAM - the job runner builds a real program, in order, and only what is needed."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
PATIENCE = 60


class Runner(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.directory.name)
        self.addCleanup(self.directory.cleanup)

    def write(self, **files):
        for name, text in files.items():
            (self.dir / name.replace("__", ".")).write_text(text)

    def jobs(self, targets):
        (self.dir / "jobs.json").write_text(json.dumps(targets))

    def run_jobs(self, *arguments, status=0):
        done = subprocess.run([PROGRAM, *arguments], cwd=self.dir, text=True, capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    @staticmethod
    def alive_in(session):
        """Its processes, but for zombies that whoever inherits orphans here has not reaped yet."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
            if its_session == str(session) and state != "Z":
                found.append(stat.parent.name)
        return found

    def counts(self, done):
        return done.stdout.splitlines()[-1]

    def c_project(self):
        self.write(
            text__h="const char *text(void);\n",
            text__c='#include "text.h"\nconst char *text(void) { return "built"; }\n',
            main__c='#include <stdio.h>\n#include "text.h"\nint main(void) { puts(text()); return 0; }\n',
        )
        self.jobs({
            "all": {"needs": ["prog"]},
            "prog": {"needs": ["main.o", "text.o"], "run": "gcc -o prog main.o text.o"},
            "main.o": {"needs": ["main.c", "text.h"], "run": "gcc -c main.c"},
            "text.o": {"needs": ["text.c", "text.h"], "run": "gcc -c text.c"},
        })

    def all_are_old_but(self, name):
        """No clock tick decides what is newer."""
        for file in self.dir.iterdir():
            os.utime(file, (1000, 1000))
        os.utime(self.dir / name, (2000, 2000))

    def test_a_program_is_built_and_then_is_up_to_date(self):
        self.c_project()
        done = self.run_jobs("-j", "2")
        self.assertEqual(self.counts(done), "3 run, 0 up to date, 0 failed, 0 not tried")
        self.assertEqual(subprocess.check_output(self.dir / "prog"), b"built\n")
        self.assertEqual(done.stdout.splitlines()[2], "gcc -o prog main.o text.o")
        self.assertEqual(self.counts(self.run_jobs()), "0 run, 3 up to date, 0 failed, 0 not tried")

    def test_only_what_a_change_reaches_is_built_again(self):
        self.c_project()
        self.run_jobs()
        self.all_are_old_but("text.c")
        self.assertEqual(self.run_jobs().stdout.splitlines()[:-1], ["gcc -c text.c", "gcc -o prog main.o text.o"])
        self.assertEqual(self.counts(self.run_jobs()), "0 run, 3 up to date, 0 failed, 0 not tried")
        self.all_are_old_but("main.o")
        self.assertEqual(self.run_jobs().stdout.splitlines()[:-1], ["gcc -o prog main.o text.o"])

    def test_one_target_can_be_asked_for(self):
        self.c_project()
        self.assertEqual(self.counts(self.run_jobs("main.o")), "1 run, 0 up to date, 0 failed, 0 not tried")
        self.assertFalse((self.dir / "prog").exists())

    def test_an_error_of_the_compiler_is_shown_and_stops_the_rest(self):
        self.c_project()
        self.write(text__c="this is not C\n")
        done = self.run_jobs(status=1)
        self.assertIn("text.c:1", done.stdout)
        self.assertIn("text.o: exit status 1", done.stderr)
        self.assertFalse((self.dir / "prog").exists())

    def test_the_first_failure_stops_and_k_goes_on(self):
        self.jobs({
            "all": {"needs": ["a", "b", "c", "d"]},
            "a": {"run": "exit 3"},
            "b": {"needs": ["a"], "run": "echo > b"},
            "c": {"run": "echo > c"},
            "d": {"needs": ["c"], "run": "echo > d"},
        })
        done = self.run_jobs("-j", "1", status=1)
        self.assertEqual(self.counts(done), "1 run, 0 up to date, 1 failed, 4 not tried")
        done = self.run_jobs("-j", "1", "-k", status=1)
        self.assertEqual(self.counts(done), "3 run, 0 up to date, 1 failed, 2 not tried")
        self.assertTrue((self.dir / "d").exists())
        self.assertFalse((self.dir / "b").exists())

    def test_commands_come_after_what_they_need_and_output_in_one_piece(self):
        layers, width = 4, 6
        targets = {"all": {"needs": [f"{layers - 1}-{i}" for i in range(width)]}}
        for layer in range(layers):
            for i in range(width):
                needs = [f"{layer - 1}-{j}" for j in (i, (i + 1) % width)] if layer else []
                targets[f"{layer}-{i}"] = {
                    "needs": needs,
                    "run": f"for n in 1 2 3; do echo {layer}-{i} $n; sleep 0.00{i}; echo {layer}-{i} err $n >&2; done"
                           f" && echo > {layer}-{i}",
                }
        self.jobs(targets)
        lines = self.run_jobs("-j", "4").stdout.splitlines()[:-1]
        seen = []
        for at in range(0, len(lines), 7):  # the command, then three times two lines
            name = lines[at + 1].split()[0]
            self.assertEqual(lines[at + 1:at + 7], [f"{name} {kind}{n}" for n in (1, 2, 3) for kind in ("", "err ")])
            for need in targets[name]["needs"]:
                self.assertIn(need, seen)
            seen.append(name)
        self.assertEqual(len(seen), layers * width)

    def test_no_more_run_at_once_than_allowed(self):
        count = 'n=$(ls -d run.* 2>/dev/null | wc -l); [ "$n" -lt 3 ] || exit 9'
        one = f"{count}; : > run.$$; sleep 0.02; rm run.$$"
        self.jobs({"all": {"needs": [f"t{i}" for i in range(20)]}, **{f"t{i}": {"run": one} for i in range(20)}})
        done = self.run_jobs("-j", "3")
        self.assertEqual(self.counts(done), "20 run, 0 up to date, 0 failed, 0 not tried")

    def test_what_a_failed_command_has_half_made_is_removed(self):
        self.jobs({"a": {"run": "echo half > a; exit 1"}})
        self.run_jobs(status=1)
        self.assertFalse((self.dir / "a").exists())

    def test_a_command_that_a_signal_ends_is_told(self):
        self.jobs({"a": {"run": "kill -9 $$"}})
        self.assertIn("a: signal 9", self.run_jobs(status=1).stderr)

    def test_faults_in_the_file_are_told(self):
        self.jobs({"a": {"needs": ["b"]}, "b": {"needs": ["c"]}, "c": {"needs": ["a"]}})
        self.assertIn("a: a target needs itself", self.run_jobs(status=2).stderr)
        self.jobs({"a": {"needs": ["nowhere"]}})
        self.assertIn("nowhere: neither a target nor a file", self.run_jobs(status=2).stderr)
        self.assertIn("z: no such target", self.run_jobs("z", status=2).stderr)
        self.jobs({"a": {"needs": [None]}})
        self.run_jobs(status=2)
        self.jobs({"a": 5})
        self.run_jobs(status=2)
        self.jobs({"a": {"needs": "b"}})
        self.run_jobs(status=2)
        self.write(jobs__json="{")
        self.run_jobs(status=2)
        self.run_jobs("-f", "absent", status=2)
        self.run_jobs("-x", status=2)

    def test_ctrl_c_ends_the_commands_with_grace_and_leaves_nothing(self):
        self.jobs({
            "all": {"needs": ["a", "b", "c"]},
            "a": {"run": "echo half > a; trap 'echo a > ended-a; exit 1' TERM; : > up-a; while :; do sleep 0.01; done"},
            "b": {"run": ": > up-b; sleep 1000"},
            "c": {"needs": ["b"], "run": "echo > c"},
        })
        runner = subprocess.Popen([PROGRAM, "-j", "3"], cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  start_new_session=True)
        until = time.time() + PATIENCE
        while not all((self.dir / name).exists() for name in ("up-a", "up-b")):
            self.assertLess(time.time(), until)
            time.sleep(0.01)
        runner.send_signal(signal.SIGINT)
        runner.communicate(timeout=PATIENCE)
        self.assertEqual(runner.returncode, 130)
        self.assertTrue((self.dir / "ended-a").exists())
        self.assertFalse((self.dir / "a").exists())
        self.assertFalse((self.dir / "c").exists())
        self.assertEqual(self.alive_in(runner.pid), [])


if __name__ == "__main__":
    unittest.main()
