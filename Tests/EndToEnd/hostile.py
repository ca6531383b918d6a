"""A kernel that misbehaves: mounts that nobody serves, devices that come and go, files that block."""
import contextlib
import ctypes
import fcntl
import functools
import itertools
import multiprocessing
import os
import shutil
import socket
import struct
import subprocess
import sys

INSIDE = "PILOTFISH_E2E_NAMESPACES"


class Skipped(Exception):
    """The test needs what is not here."""


def in_namespaces(test):
    """Runs the test in a network and a mount namespace of its own, so that nothing of it stays. Needs root."""
    @functools.wraps(test)
    def run(folder):
        if os.environ.get(INSIDE):
            with socket.socket() as s:  # SIOCSIFFLAGS, IFF_UP
                fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 1))
            return test(folder)
        command = ["unshare", "--net", "--mount"]
        if os.geteuid() != 0 or subprocess.run(command + ["true"], capture_output=True).returncode != 0:
            raise Skipped("needs root, and to be allowed namespaces")
        result = subprocess.run(
            command + [sys.executable, sys.argv[0], sys.argv[1], test.__name__[len("test_"):]],
            env={**os.environ, INSIDE: "1"}, capture_output=True, text=True, timeout=900)
        first = (result.stdout.splitlines() or [""])[0]
        if first.startswith("skip"):
            raise Skipped(first)
        assert result.returncode == 0, result.stdout + result.stderr
    return run


def mount(source, target, kind, options="", flags=0):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {kind}: {os.strerror(code)}")


@contextlib.contextmanager
def stuck_mount(path):
    """A FUSE file system without a server: whoever looks into it waits until its end, which comes with close()."""
    os.mkdir(path)
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
        mount("stuck", path, "fuse", f"fd={server},rootmode=40000,user_id=0,group_id=0")
    except OSError as e:
        raise Skipped(f"no FUSE: {e}")
    open_servers = [server]

    def close():
        while open_servers:
            os.close(open_servers.pop())

    try:
        yield close
    finally:
        close()
        ctypes.CDLL(None).umount2(path.encode(), 2)  # MNT_DETACH


def write_tree(root, files):
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


@contextlib.contextmanager
def forever(step):
    """Calls step() again and again in a process of its own."""
    def loop():
        while True:
            step()

    process = multiprocessing.get_context("fork").Process(target=loop, daemon=True)
    process.start()
    try:
        yield
        assert process.is_alive(), f"{step.__name__} ended with {process.exitcode}"
    finally:
        process.kill()
        process.join()


def come_and_go(root, folders):
    """A step for `forever`: each folder, with its files, goes file by file, and is back at once."""
    spare = itertools.count()

    def come_and_go():
        for name, files in folders.items():
            path = os.path.join(root, name)
            shutil.rmtree(path, ignore_errors=True)
            new = os.path.join(root, f"new{next(spare)}")
            write_tree(new, files)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.rename(new, path)
    return come_and_go


def interface_comes_and_goes():
    """A step for `forever`: an interface is there for as long as its device is open."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, 0x400454ca, struct.pack("16sH22x", b"comesandgoes", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
    os.close(device)
