#!/usr/bin/env python3
"""What a scrape costs on a host with many interfaces or mounts: CPU per scrape for each size, side by side.

usage: host_scale.py interfaces|mounts SIZE[,SIZE...] NAME=COMMAND [NAME=COMMAND ...]
  COMMAND has {port} where the listen address' port stands. Runs as root: the interfaces and mounts are made in
  namespaces of their own, which end with this process.

  host_scale.py interfaces 500,1000,2000 'pilotfish=.build/release/pilotfish --web.listen-address=127.0.0.1:{port}'
"""
import ctypes
import glob
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

SCRAPES = 30


def cpu_seconds(pid):
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path) as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS:"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def scrape(port):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return len(answer.read())


class Exporter:
    def __init__(self, specification):
        self.name, command = specification.split("=", 1)
        self.port = free_port()
        self.process = subprocess.Popen(
            shlex.split(command.format(port=self.port)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                scrape(self.port)
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{self.name} does not answer")

    def cost(self):
        """CPU milliseconds a scrape, after a few to warm up."""
        for _ in range(3):
            size = scrape(self.port)
        before = cpu_seconds(self.process.pid)
        for _ in range(SCRAPES):
            scrape(self.port)
        return (cpu_seconds(self.process.pid) - before) * 1000 / SCRAPES, size, resident_mib(self.process.pid)


def add_interfaces(first, last):
    # In pairs: this type is in every kernel that runs containers.
    batch = "".join(f"link add va{n} type veth peer name vb{n}\n" for n in range(first // 2, last // 2))
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)


def add_mounts(first, last):
    libc = ctypes.CDLL(None, use_errno=True)
    for n in range(first, last):
        path = f"{folder}/{n}"
        os.mkdir(path)
        if libc.mount(b"m", path.encode(), b"tmpfs", 0, b"size=4k") != 0:
            raise OSError(ctypes.get_errno(), f"mount {path}")


def main():
    global folder
    kind, sizes, specifications = sys.argv[1], [int(n) for n in sys.argv[2].split(",")], sys.argv[3:]
    if os.environ.get("HOST_SCALE_NAMESPACE") is None:
        os.environ["HOST_SCALE_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    folder = tempfile.mkdtemp(prefix="host-scale.")
    present = 0
    print(f"{kind:>10}  " + "  ".join(f"{s.split('=', 1)[0]:>34}" for s in specifications))
    for size in sizes:
        {"interfaces": add_interfaces, "mounts": add_mounts}[kind](present, size)
        present = size
        cells = []
        for specification in specifications:
            exporter = Exporter(specification)
            try:
                milliseconds, length, memory = exporter.cost()
            finally:
                exporter.process.terminate()
                exporter.process.wait()
            cells.append(f"{milliseconds:8.2f} ms CPU {milliseconds / size * 1000:6.2f} us each {memory:6.1f} MiB")
        print(f"{size:>10}  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
