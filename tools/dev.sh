#!/bin/sh
# dev.sh - the commands of those who work on ouro: install what is missing, build, run. Safe to repeat.
#
#   sh tools/dev.sh test [NAME...]     the whole suite, on every backend; last line "N passed, N failed"
#   sh tools/dev.sh stress [ARG...]    ten seconds of mixed load on both pools; ARGs go to `ouro stress`
#   sh tools/dev.sh bench [ARG...]     the benchmarks; ARGs go to bench/run.sh
#   sh tools/dev.sh sanitize           the suite under ASan and UBSan, and the plain programs under TSan
#   sh tools/dev.sh format [--check]   lay the code out, or tell what is not laid out
#   sh tools/dev.sh setup              only install what is missing
set -eu
cd "$(dirname "$0")/.."

# What a bare Debian 12 lacks. gcc, g++ and clang: every one of them must accept the header and the library.
build_packages='gcc libc6-dev meson ninja-build pkg-config python3 liburing-dev'
tool_packages='libjemalloc-dev libjson-c-dev zlib1g-dev'
test_packages='g++ clang lld libcriterion-dev groff-base valgrind gdb libcurl4-openssl-dev libc-ares-dev libuv1-dev'
test_packages="$test_packages libssl-dev openssl curl"
test_packages="$test_packages libhiredis-dev uthash-dev redis-tools"
test_packages="$test_packages libhttp-parser-dev wrk chromium"
test_packages="$test_packages acl netbase libcap2-bin"
bench_packages='libuv1-dev g++ golang-go cargo rustc librust-tokio-dev libboost-fiber-dev'
bench_packages="$bench_packages libhiredis-dev uthash-dev redis-tools"
bench_packages="$bench_packages libhttp-parser-dev wrk fio"
service_packages='nginx-light redis-server' # peers: run by the benchmarks themselves, on ports of their own
format_packages='clang-format-14'

fail()
{
        echo "dev.sh: $*" >&2
        exit 1
}

as_root()
{
        if [ "$(id -u)" = 0 ]; then
                "$@"
        else
                command -v sudo >/dev/null || fail "not root, and there is no sudo; run as root: $*"
                sudo "$@"
        fi
}

# Of services: Debian would start them at once, and again at each boot. While policy-rc.d says no it does not,
# and what was there before is not touched.
install_services()
{
        policy=/usr/sbin/policy-rc.d
        command -v dpkg-query >/dev/null || return 0
        if [ ! -e $policy ]; then
                printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
                as_root chmod 755 $policy
                trap 'as_root rm -f $policy' EXIT
        fi
        fresh=
        for package in "$@"; do
                [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :)" = installed ] ||
                        fresh="$fresh $package"
        done
        # shellcheck disable=SC2086 # a list of names
        install_missing $fresh
        if command -v systemctl >/dev/null; then
                for package in $fresh; do
                        as_root systemctl disable "${package%-light}" >/dev/null 2>&1 || :
                done
        fi
}

# Elsewhere than on Debian the packages have other names: the build says what it misses.
install_missing()
{
        missing=
        command -v dpkg-query >/dev/null || return 0
        for package in "$@"; do
                case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || :) in
                *' installed') ;;
                *) missing="$missing $package" ;;
                esac
        done
        [ -n "$missing" ] || return 0
        echo "dev.sh: installing$missing"
        as_root apt-get -q update
        # shellcheck disable=SC2086 # a list of names
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
}

# configure DIRECTORY OPTION...: also when it is there already, so that new files are seen. What cannot be
# configured again (another meson, a broken first try) is made anew.
configure()
{
        directory=$1
        shift
        if [ -d "$directory" ]; then
                meson setup --reconfigure "$directory" "$@" >"$directory/setup.log" 2>&1 && return 0
                rm -rf "$directory"
        fi
        meson setup "$directory" "$@"
}

build()
{
        configure "$@" && ninja -C "$1"
}

build_by_clang()
{
        (
                export CC=clang CXX=clang++
                build build-clang -Dtests=enabled -Dtools=enabled -Dman=disabled
        )
}

# Where a container denies io_uring, only the other backend can be tested.
uring_works()
{
        python3 - <<'EOF'
import ctypes, sys
io_uring_setup = 425
fd = ctypes.CDLL(None).syscall(io_uring_setup, 1, ctypes.create_string_buffer(120))
sys.exit(fd < 0)
EOF
}

# run_suite DIRECTORY SETUP [ARG...]: sets failed=1 and goes on, so that every failure is told.
run_suite()
{
        directory=$1
        setup=$2
        shift 2
        echo "dev.sh: $directory, $setup"
        # One more than there are processors: many tests wait for most of their time.
        meson test -C "$directory" --no-rebuild --print-errorlogs --num-processes $(($(nproc) + 1)) \
                --setup "$setup" "$@" || failed=1
}

# The benchmarks in C are built, too; those in other languages where their compilers are already.
command_test()
{
        # shellcheck disable=SC2086 # lists of names
        install_missing $build_packages $tool_packages $test_packages
        if ! build build -Dtests=enabled -Dtools=enabled -Dbench=enabled -Dman=enabled ||
                ! build_by_clang; then
                echo 'dev.sh: it does not build' >&2
                echo '0 passed, 1 failed'
                return 1
        fi
        rm -f build/meson-logs/testlog-*.json build-clang/meson-logs/testlog-*.json
        failed=0
        setups='uring uring_5_15 uring_6_1 epoll'
        if ! uring_works; then
                echo 'dev.sh: io_uring is denied here: testing the epoll backend only' >&2
                setups=epoll
        fi
        for setup in $setups; do
                run_suite build "$setup" --no-suite once "$@"
        done
        if [ $# = 0 ]; then
                run_suite build once --suite once
                run_suite build-clang "${setups%% *}" --no-suite once
        fi
        python3 tests/tally.py build build-clang || failed=1
        return $failed
}

command_stress()
{
        # shellcheck disable=SC2086
        install_missing $build_packages $tool_packages
        # A directory of its own: what else this machine could build (benchmarks of other languages) takes minutes.
        build build-stress -Dtools=enabled -Dtests=disabled -Dbench=disabled -Dman=disabled
        exec build-stress/tools/ouro stress --duration 10 "$@"
}

command_bench()
{
        # shellcheck disable=SC2086
        install_missing $build_packages $tool_packages $bench_packages
        # shellcheck disable=SC2086
        (install_services $service_packages)
        build build -Dbench=enabled
        [ -f bench/run.sh ] || fail 'there is no bench/run.sh'
        exec sh bench/run.sh "$@"
}

command_sanitize()
{
        # shellcheck disable=SC2086
        install_missing $build_packages $tool_packages $test_packages
        # gcc sees things in code that a sanitizer has changed: warnings are errors in the other builds.
        build build-asan -Dtests=enabled -Dwerror=false -Db_sanitize=address,undefined
        build build-tsan -Dtests=enabled -Dwerror=false -Db_sanitize=thread
        rm -f build-asan/meson-logs/testlog-*.json build-tsan/meson-logs/testlog-*.json
        failed=0
        setups='uring epoll'
        uring_works || setups=epoll
        for setup in $setups; do
                run_suite build-asan "$setup" --no-suite once -t 4
                run_suite build-tsan "$setup" --suite tsan -t 4
        done
        python3 tests/tally.py build-asan build-tsan || failed=1
        return $failed
}

command_format()
{
        # shellcheck disable=SC2086
        install_missing $format_packages
        if [ "${1-}" = --check ]; then
                set -- --dry-run -Werror
        elif [ $# = 0 ]; then
                set -- -i
        else
                fail 'format takes --check or nothing'
        fi
        find lib executors tools tests bench docs -name '*.[ch]' -exec clang-format-14 "$@" {} +
}

command=${1-}
[ $# = 0 ] || shift
case $command in
test | stress | bench | sanitize | format) "command_$command" "$@" ;;
# shellcheck disable=SC2086
setup) install_missing $build_packages $tool_packages $test_packages $bench_packages $format_packages ;;
*)
        sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
