#!/usr/bin/env python3
"""check.py - ouro can be installed and used from outside.

Installs the library alone into a temporary prefix, looks at what was installed, and builds an outside program
through pkg-config: shared and static, as C11, C17 and C++17, with gcc and with clang; and runs each.

usage: check.py SOURCE_ROOT PROGRAM TLS_PROGRAM"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wpedantic", "-Werror"]
LANGUAGES = {"c11": ("gcc", "clang"), "c17": ("gcc", "clang"), "c++17": ("g++", "clang++")}
passed = failed = 0


def told(name, problem):
    global passed, failed
    if problem:
        failed += 1
        print(f"FAILED: {name}: {problem}")
    else:
        passed += 1
        print(f"passed: {name}")


def output(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def install(source, prefix):
    build = prefix.parent / "build"
    parts = ["-Dtools=disabled", "-Dtests=disabled", "-Dbench=disabled", "-Dtls=enabled"]
    output("meson", "setup", str(build), str(source), f"--prefix={prefix}", "--libdir=lib", *parts)
    output("meson", "install", "-C", str(build))


def look_at_files(prefix):
    for name in ("include/ouro.h", "include/ouro/executor.h", "include/ouro/job.h", "include/ouro/pool.h",
                 "include/ouro/tls.h", "lib/libouro-tls.a", "lib/libouro-tls.so", "lib/libouro-tls.so.0",
                 "lib/pkgconfig/ouro-tls.pc", "share/man/man3/ouro_tls_connect.3",
                 "lib/libouro.a", "lib/libouro.so", "lib/libouro.so.0", "lib/pkgconfig/ouro.pc", "libexec/ouro/ouro-worker",
                 "share/man/man3/ouro_run.3", "share/man/man3/ouro_map.3", "share/man/man3/ouro_thread_pool_open.3",
                 "share/man/man3/ouro_job_begin.3", "share/man/man7/ouro.7"):
        told(f"installed {name}", "" if (prefix / name).exists() else "is not there")
    headers = set((prefix / "include").rglob("*.h"))
    of_tls = {header for header in headers if header.name == "tls.h"}
    look_at_names(prefix / "lib/libouro.so", headers - of_tls)
    look_at_names(prefix / "lib/libouro-tls.so", of_tls)


def look_at_names(library, headers):
    """What it exports is what its headers declare."""
    wanted = set()
    for header in headers:
        wanted |= set(re.findall(r"^OURO_API\b[^;]*?(ouro_\w+)\(", header.read_text(), re.M))
    lines = output("nm", "-D", "--defined-only", "--without-symbol-versions", str(library)).split("\n")
    exported = {line.split()[2] for line in lines if line and line.split()[1] != "A"}
    told(f"{library.name} exports every function of the headers", " ".join(sorted(wanted - exported)))
    told(f"{library.name} exports nothing else", " ".join(sorted(exported - wanted)))


def look_at_library(library, friends):
    dynamic = output("readelf", "--dynamic", "--wide", str(library))
    needed = re.findall(r"\(NEEDED\).*\[(.*?)\]", dynamic)
    foreign = [name for name in needed if not re.match(rf"({friends}|libc|libpthread|ld-linux[-\w]*)\.so", name)]
    told(f"{library.name} needs {friends} and libc alone", " ".join(foreign))
    told(f"{library.name} has its soname", "" if f"soname: [{library.name}.0]" in dynamic else dynamic)
    stack = re.search(r"GNU_STACK.*", output("readelf", "--segments", "--wide", str(library)))
    told(f"{library.name} has no executable stack", "" if stack and "RWE" not in stack[0] else str(stack))


def look_at_helper(prefix):
    """It is started by whatever program, which may have loaded the library from anywhere."""
    bare = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    run = subprocess.run([prefix / "libexec/ouro/ouro-worker"], env=bare, capture_output=True, text=True, check=False)
    told("the helper finds the library", "" if run.returncode == 2 and "process pool" in run.stderr else run.stderr)
    text = (prefix / "lib/libouro.so").read_bytes()
    told("the library finds the helper", "" if str(prefix / "libexec/ouro/ouro-worker").encode() in text else "another path")


def build_and_run(prefix, program, where, environment, version, package="ouro"):
    for language, compilers in LANGUAGES.items():
        for compiler in compilers:
            for linkage in ("shared", "archive", "static"):
                name = f"{package} {language} {compiler} {linkage}"
                binary = str(where / name.replace(" ", "_"))
                flags = link_flags(linkage, prefix, environment, package)
                kind = ["-x", "c++"] if "++" in language else ["-x", "c"]
                command = [compiler, f"-std={language}", *WARNINGS, *kind, str(program), "-x", "none", "-o", binary]
                told(name, try_it([*command, *flags], binary, environment, f"{version} 0\n"))


def link_flags(linkage, prefix, environment, package):
    """With the shared library, with the archive in a dynamic program, or with nothing but archives."""
    if linkage == "shared":
        return pkg_config(environment, package, "--cflags", "--libs")
    flags = pkg_config(environment, package, "--cflags", "--libs", "--static")
    if linkage == "static":
        return ["-static", *flags]
    return [str(prefix / f"lib/lib{flag[2:]}.a") if flag.startswith("-louro") else flag for flag in flags]


def try_it(command, binary, environment, expected):
    """What is wrong with the program, or nothing."""
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    if compiled.returncode != 0:
        return f"{' '.join(command)}\n{compiled.stderr}"
    run = subprocess.run([binary], env=environment, capture_output=True, text=True, timeout=60, check=False)
    if run.returncode != 0 or run.stdout != expected:
        return f"exit {run.returncode}, printed {run.stdout!r}, {run.stderr!r}"
    return ""


def pkg_config(environment, package, *arguments):
    return output("pkg-config", *arguments, package, env=environment).split()


def main(source, programs):
    where = pathlib.Path(tempfile.mkdtemp(prefix="ouro-install-"))
    prefix = where / "prefix"
    environment = dict(os.environ, PKG_CONFIG_PATH=str(prefix / "lib/pkgconfig"), LD_LIBRARY_PATH=str(prefix / "lib"))
    try:
        install(source, prefix)
        look_at_files(prefix)
        look_at_library(prefix / "lib/libouro.so", "liburing|libcares")
        look_at_library(prefix / "lib/libouro-tls.so", "libouro|libssl|libcrypto")
        look_at_helper(prefix)
        for package in ("ouro", "ouro-tls"):
            version = pkg_config(environment, package, "--modversion")[0]
            build_and_run(prefix, programs[package], where, environment, version, package)
    except subprocess.CalledProcessError as error:
        told(" ".join(error.cmd), f"exit {error.returncode}\n{error.stdout}\n{error.stderr}")
    finally:
        shutil.rmtree(where)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), dict(zip(("ouro", "ouro-tls"), map(pathlib.Path, sys.argv[2:])))))
