#!/bin/sh
# run.sh EXPECTED COMMAND... - run a command, which must end well, say nothing on stderr and print EXPECTED.
set -u
expected=$1
shift
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT

"$@" >"$dir/out" 2>"$dir/err"
status=$?
if [ -s "$dir/err" ]; then
        cat "$dir/err" >&2
        exit 1
fi
diff -u "$expected" "$dir/out" || exit 1
if [ "$status" -ne 0 ]; then
        echo "exit status $status" >&2
        exit 1
fi
