#!/bin/sh
# run.sh - every benchmark, interleaved with its reference; see run.py --help for the arguments.
exec python3 "$(dirname "$0")/run.py" "$@"
