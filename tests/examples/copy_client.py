#!/usr/bin/env python3
"""copy_client.py COPY_TREE - copy real and made-up trees with it and with cp -a, and compare all that can be seen."""
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

SECONDS = 100
program = sys.argv[1]
is_root = os.geteuid() == 0


def put(path, content=b"", mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def make_tree(top):
    """A bit of everything that cp -a keeps."""
    put(top / "plain", b"some text\n" * 100)
    put(top / "empty")
    put(top / "large", os.urandom(3 << 20))
    put(top / "only the owner", b"x", 0o600)
    put(top / "nobody writes", b"x", 0o444)
    put(top / "program", b"#!/bin/sh\n", 0o4755)
    put(top / ("n" * 255), b"the longest name")
    put(top / "names" / "new\nline \x01 \udcff \u00fc \\ *", b"odd name")
    with open(top / "sparse", "wb") as file:
        file.seek(5 << 20)
        file.write(b"data")
        file.truncate(20 << 20)
    for name in ["a", "b", "deep/c"]:
        (top / "links" / name).parent.mkdir(parents=True, exist_ok=True)
        if name == "a":
            put(top / "links/a", b"one file, three names")
        else:
            os.link(top / "links/a", top / "links" / name)
    os.symlink("../plain", top / "links/good")
    os.symlink("nowhere at all", top / "links/broken")
    os.symlink(".", top / "links/round")
    os.link(top / "links/good", top / "links/good again", follow_symlinks=False)
    os.mkfifo(top / "fifo", 0o620)
    (top / "sticky").mkdir()
    (top / "sticky").chmod(0o1777)
    put(top / "locked/inside", b"in a directory that cannot be written to")
    os.setxattr(top / "plain", "user.colour", b"red\0blue")
    os.setxattr(top / "sticky", "user.kind", b"directory")
    if shutil.which("setfacl"):
        subprocess.run(["setfacl", "-m", "u:65534:r", top / "only the owner"], check=True)
    for i in range(300):
        put(top / "many" / str(i % 7) / str(i), bytes([i % 256]) * i)
    if is_root:
        os.chown(top / "plain", 1234, 5678)
        os.chown(top / "links/good", 1234, 5678, follow_symlinks=False)
        os.mknod(top / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    for number, path in enumerate(sorted(top.rglob("*"))):
        os.utime(path, ns=(10**18 + number, 10**18 + 7 * number + 123), follow_symlinks=False)
    (top / "locked").chmod(0o555)


def tell(at, name, path, inodes, told):
    """All that can be seen of one entry, without what every copy has of its own."""
    about = os.stat(name, dir_fd=at, follow_symlinks=False)
    kind = stat.S_IFMT(about.st_mode)
    line = [oct(about.st_mode), about.st_uid, about.st_gid, about.st_mtime_ns,
            about.st_size if kind != stat.S_IFDIR else 0, about.st_rdev]
    line.append(inodes.setdefault(about.st_ino, path))
    if kind == stat.S_IFLNK:
        line.append(os.readlink(name, dir_fd=at))
    if kind == stat.S_IFREG:
        file = os.open(name, os.O_RDONLY, dir_fd=at)
        with os.fdopen(file, "rb") as opened:
            line.append(hash(opened.read()))
        line.append(about.st_blocks * 512 < about.st_size // 2)
    if kind in (stat.S_IFREG, stat.S_IFDIR):
        file = os.open(name, os.O_RDONLY, dir_fd=at)
        line.append(sorted((key, os.getxattr(file, key)) for key in os.listxattr(file)))
        if kind == stat.S_IFDIR:
            told[path] = line
            for inside in sorted(os.listdir(file)):
                tell(file, inside, path + "/" + inside, inodes, told)
        os.close(file)
    told[path] = line


def seen(top):
    told = {}
    at = os.open(top, os.O_RDONLY)
    tell(at, ".", "", {}, told)
    os.close(at)
    return told


def compare(what, ours, theirs):
    a, b = seen(ours), seen(theirs)
    for path in sorted(set(a) | set(b), key=len):
        if a.get(path) != b.get(path):
            sys.exit(f"{what}: {path[:200]!r}: {a.get(path)} instead of {b.get(path)}")
    return len(b)


def copy_both(what, tree, ours, theirs):
    for command, target in ([program], ours), (["cp", "-a"], theirs):
        done = subprocess.run([*command, tree, target], capture_output=True, text=True, timeout=SECONDS)
        if done.returncode != 0 or done.stderr:
            sys.exit(f"{what}: {command}: status {done.returncode}: {done.stderr[:2000]}")
    return compare(what, ours, theirs)


def failures(top):
    """What cannot be copied is told, and the rest is there."""
    done = subprocess.run([program, top / "nothing", top / "x"], capture_output=True, text=True, timeout=SECONDS)
    if done.returncode != 1 or "No such file" not in done.stderr:
        sys.exit(f"a tree that is not there: {done}")
    done = subprocess.run([program, top / "made", top / "ours"], capture_output=True, text=True, timeout=SECONDS)
    if done.returncode != 1 or "File exists" not in done.stderr:
        sys.exit(f"a target that is there: {done}")


def main():
    sys.setrecursionlimit(10000)
    top = pathlib.Path(tempfile.mkdtemp(prefix="ouro-copy-"))
    try:
        make_tree(top / "made")
        made = copy_both("a made-up tree", top / "made", top / "ours", top / "theirs")
        compare("the original", top / "ours", top / "made")
        real = copy_both("/usr/include/linux", "/usr/include/linux", top / "ours2", top / "theirs2")
        failures(top)
        if made < 330 or real < 100:
            sys.exit(f"only {made} and {real} entries were compared")
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", top], check=False, capture_output=True)
        subprocess.run(["rm", "-rf", top], check=False)
    print("two trees are as cp -a copies them")


main()
