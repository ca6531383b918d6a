#!/usr/bin/env python3
"""Starts an agent on a folder with a large backlog: how long until the first fresh sample is at the receiver.

usage: backlog_start.py PILOTFISH [--bytes 2G] [--starts 3] [--keep]

The backlog is one that an agent has written, of random values, whose segments are repeated with later ordinals and times
until it is large enough. The fresh samples are of a target that the backlog does not have, scraped every 100 ms. Times
count from the start of the process.
"""
import argparse
import contextlib
import glob
import os
import random
import shutil
import struct
import sys
import tempfile
import time
import zlib

from agent_parts import Agent, free_port, until
from remote import Receiver, Targets, uncompress, varint


class RandomTargets(Targets):
    """Values that do not compress."""

    def page(self, number):
        values = iter([repr(random.uniform(0, 1e6)).encode() for _ in range(self.series)])
        return b"".join(part + (next(values) if part.endswith(b" ") else b"") for part in self._page.split(b"@"))


class Watch(Receiver):
    """When samples of a job arrived, without a look at each of them."""

    def __init__(self, port, jobs):
        super().__init__(port)
        self.jobs, self.first, self.last, self.bytes = jobs, {}, {}, 0

    def take(self, body, version):
        message, now = uncompress(body), time.time()
        self.bytes += len(message)
        for job in self.jobs:
            if b"\x0a\x03job\x12" + bytes([len(job)]) + job.encode() in message:
                self.first.setdefault(job, now)
                self.last[job] = now
        return 0


def encode_varint(value):
    output = bytearray()
    while value >= 0x80:
        output.append(value & 0x7F | 0x80)
        value >>= 7
    output.append(value)
    return bytes(output)


def records(path):
    """Of a segment: the ordinal, number of samples and the rest of each whole record."""
    with open(path, "rb") as f:
        data = f.read()
    at = 32
    while at + 8 <= len(data):
        length, _ = struct.unpack_from("<II", data, at)
        payload = data[at + 8:at + 8 + length]
        if len(payload) < length:
            return
        ordinal, place = varint(payload, 0)
        time_at, place = varint(payload, place)
        count, _ = varint(payload, place)
        yield ordinal, time_at >> 1, count, payload[place:]
        at += 8 + length


def repeat_segments(folder, size):
    """Writes copies of the largest segment behind the last one until all together have `size` bytes."""
    paths = sorted(glob.glob(folder + "/*.log"))
    template = list(records(max(paths, key=os.path.getsize)))
    end, newest, total = 0, 0, sum(map(os.path.getsize, paths))
    for ordinal, at, count, _ in (record for path in paths for record in records(path)):
        end, newest = ordinal + count, max(newest, at)
    # Behind the last sample, and before now: a millisecond for each record, if there is no room for more.
    copies = size * len(paths) // max(total, 1) + 1
    step = max(1, int((time.time() * 1000 - newest) / max(1, copies * len(template))))
    while total < size:
        first = end
        output = bytearray(b"PILOTLOG" + struct.pack("<IQq", 1, first, int(time.time() * 1000)))
        output += struct.pack("<I", zlib.crc32(bytes(output)))
        for _, _, count, rest in template:
            newest += step
            payload = encode_varint(end) + encode_varint(newest << 1) + rest
            output += struct.pack("<II", len(payload), zlib.crc32(payload)) + payload
            end += count
        with open(f"{folder}/{first:016x}.log", "wb") as f:
            f.write(output)
        total += len(output)
    return total, end, len(glob.glob(folder + "/*.log"))


def parse_size(text):
    units = {"K": 10, "M": 20, "G": 30}
    return int(float(text[:-1]) * (1 << units[text[-1]])) if text[-1] in units else int(text)


def jobs(url, *jobs):
    listed = "".join(f"- {{job_name: {name}, static_configs: [{{targets: {instances}}}]}}\n" for name, instances in jobs)
    return ("global: {scrape_interval: 100ms, scrape_timeout: 100ms}\n"
            f"scrape_configs:\n{listed}remote_write: [{{url: '{url}', queue_config: {{batch_send_deadline: 100ms}}}}]\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pilotfish")
    parser.add_argument("--bytes", type=parse_size, default="2G", help="of the log")
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--series", type=int, default=450)
    parser.add_argument("--seconds", type=float, default=20, help="of the log that is repeated")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    options = parser.parse_args()
    folder, port = tempfile.mkdtemp(prefix="backlog."), free_port()
    url = f"http://127.0.0.1:{port}/api/v1/write"
    with RandomTargets(options.targets, options.series) as old:
        config = jobs(url, ("old", old.instances))
        with contextlib.ExitStack() as stack:
            receiver = stack.enter_context(Watch(port, ["old"]))
            agent = stack.enter_context(Agent(options.pilotfish, folder, config, "--storage.remote.flush-deadline=1ms"))
            until("the first samples are sent", lambda: receiver.first, 60)
            # The receiver goes first; then what follows is a backlog.
            receiver.fault = lambda: "503"
            time.sleep(options.seconds)
            agent.__exit__()
        total, end, segments = repeat_segments(folder + "/log", options.bytes)
    print(f"folder {folder}: {total / (1 << 20):.0f} MiB in {segments} segments, {end - 1} samples", flush=True)
    os.sync()
    print(f"{'start':>6}{'ready s':>9}{'fresh s':>9}{'backlog s':>11}{'RSS MiB':>9}{'after s':>9}{'fresh lag s':>13}{'raw MB/s':>10}")
    for number in range(1, options.starts + 1):
        with Targets(1, 20) as fresh, Watch(port, ["old", "new"]) as receiver:
            start = time.time()
            with Agent(options.pilotfish, folder, jobs(url, ("new", fresh.instances)), "--storage.remote.flush-deadline=1ms") as agent:
                agent.ready()
                ready = time.time() - start
                while time.time() < start + 15 and len(receiver.first) < 2:
                    time.sleep(0.02)
                time.sleep(max(2, start + 5 - time.time()))
                now = time.time()
                waits = [f"{receiver.first[job] - start:.2f}" if job in receiver.first else "never" for job in ("new", "old")]
                lag = f"{now - receiver.last['new']:.2f}" if "new" in receiver.last else "-"
                print(f"{number:>6}{ready:>9.2f}{waits[0]:>9}{waits[1]:>11}{agent.resident():>9.1f}{now - start:>9.1f}"
                      f"{lag:>13}{receiver.bytes / 1e6 / (now - start):>10.0f}", flush=True)
                # The next start has the same backlog, but for what was sent now.
                agent.kill()
    if not options.keep:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
