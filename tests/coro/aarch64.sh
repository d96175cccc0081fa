#!/bin/sh
# aarch64.sh SOURCE_ROOT - builds for AArch64 and runs under QEMU: the coroutine room, and, where liburing is there
# for that processor, the whole library on the epoll backend (QEMU's user mode has no io_uring).
#
# $OURO_AARCH64_SYSROOT may name a directory with usr/include and usr/lib/aarch64-linux-gnu that liburing is in.
set -eu
cd "$1"
CC=${CC_AARCH64:-aarch64-linux-gnu-gcc}
ROOT=/usr/aarch64-linux-gnu

skip()
{
        echo "skipped: $*" >&2
        exit 77
}

command -v "$CC" >/dev/null || skip "there is no $CC"
QEMU=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || skip 'there is no qemu-aarch64'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

flags="-std=gnu11 -O2 -g -Wall -Wextra -Wshadow -Wconversion -Werror -D_GNU_SOURCE -fstack-clash-protection
       -Ilib -I. -Ilib/include -Itests -pthread"
libraries=
if [ -n "${OURO_AARCH64_SYSROOT-}" ]; then
        flags="$flags -isystem $OURO_AARCH64_SYSROOT/usr/include"
        libraries="-L$OURO_AARCH64_SYSROOT/usr/lib/aarch64-linux-gnu"
fi
passed=0
failed=0

# build PROGRAM FILE...
build()
{
        program=$1
        shift
        # shellcheck disable=SC2086 # lists
        "$CC" $flags -o "$dir/$program" "$@" $libraries -lm -ldl
}

# run PROGRAM: counts what its last line says.
run()
{
        "$QEMU" -L "$ROOT" "$dir/$1" >"$dir/out" 2>&1 || :
        cat "$dir/out"
        line=$(tail -n 1 "$dir/out")
        case $line in
        *' passed, '*' failed')
                passed=$((passed + ${line%% *}))
                line=${line#* passed, }
                failed=$((failed + ${line%% *}))
                ;;
        *) failed=$((failed + 1)) ;;
        esac
}

room='lib/base/alloc.c lib/base/log.c lib/coro/coro.c lib/coro/leave.c lib/coro/stack.c
      lib/coro/arch/aarch64/switch.S tests/tsan/runner.c'
# shellcheck disable=SC2086
build bare tests/coro/bare.c tests/coro/arch/aarch64/registers.S $room
run bare

has_liburing()
{
        # shellcheck disable=SC2086
        printf '#include <liburing.h>\nint main(void) { return io_uring_queue_init(1, 0, 0); }\n' |
                "$CC" $flags -Wno-nonnull -x c - -o "$dir/probe" $libraries -l:liburing.a 2>"$dir/probe.log"
}

if has_liburing; then
        sources=$(find lib executors -name '*.c' ! -path '*/arch/*')
        libraries="$libraries -l:liburing.a"
        OURO_BACKEND=epoll
        export OURO_BACKEND
        for program in jobs loops post; do
                # shellcheck disable=SC2086
                build "$program" "tests/tsan/$program.c" tests/tsan/runner.c $sources \
                        lib/coro/arch/aarch64/switch.S
                run "$program"
        done
else
        echo 'no liburing for AArch64: the coroutine room only' >&2
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
