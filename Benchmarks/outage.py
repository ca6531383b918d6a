#!/usr/bin/env python3
"""The receiver is down for a while: memory and log meanwhile, and how fast and at what cost the rest follows.

usage: outage.py PILOTFISH [--minutes 30] [--targets N --series N] [--targets-program P --template T --sink P]

Without the programs the parts of the end-to-end tests are used, with less load: a receiver in Python takes some 200,000
samples a second, so that the catch-up rate is its own. PILOTFISH's targets and a sink in another language, as processes:

  --targets-program  `P TEMPLATE FIRST_PORT COUNT` serves the exposition of the file TEMPLATE on COUNT ports
  --sink             `P PORT` receives; GET /stats answers JSON with samples, duplicates, out_of_order, tmax,
                     per_series_min and per_series_max (with ?minmax)

  lost            samples that came in but never arrived; with scrapes missed, series would differ in their samples
  fresh lag       the age of the newest sample at the receiver while it catches up
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack

from agent_parts import Agent, configuration, free_port, get, until
from remote import Receiver, Targets


class OwnParts:
    """Targets and receiver of the tests."""

    def __init__(self, stack, options):
        self.targets = stack.enter_context(Targets(options.targets, options.series))
        self.instances, self.port, self.receiver = self.targets.instances, free_port(), None
        self.stack = stack

    def start(self):
        self.receiver = self.stack.enter_context(Receiver(self.port))

    def stats(self):
        ledger = self.receiver.ledger
        with self.receiver.lock:
            return {"samples": ledger.delivered + ledger.duplicates, "duplicates": ledger.duplicates,
                    "out_of_order": ledger.disorder, "tmax": ledger.newest}

    def uneven(self):
        with self.receiver.lock:
            return f"{sum(self.receiver.ledger.missing(self.targets, 1)[0].values())} samples missing"


class Programs:
    def __init__(self, stack, options):
        first = 22000
        self.instances = [f"127.0.0.1:{first + n}" for n in range(options.targets)]
        self.port, self.stack, self.sink = free_port(), stack, options.sink
        self.run(options.targets_program, options.template, str(first), str(options.targets))

    def run(self, *command):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(lambda: (child.terminate(), child.wait()))

    def start(self):
        self.run(self.sink, str(self.port))
        until("the sink answers", lambda: self.stats(), 10)

    def stats(self):
        return json.loads(get(f"http://127.0.0.1:{self.port}/stats"))

    def uneven(self):
        stats = json.loads(get(f"http://127.0.0.1:{self.port}/stats?minmax"))
        return f"{stats['per_series_min']} to {stats['per_series_max']} samples a series"


def newest(parts, lags, is_over):
    while not is_over.wait(0.25):
        tmax = parts.stats()["tmax"]
        if tmax:
            lags.append(time.time() - tmax / 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pilotfish")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--interval", default="1s")
    parser.add_argument("--targets", type=int, default=40)
    parser.add_argument("--series", type=int, default=450)
    parser.add_argument("--queue", default="", help="of queue_config, such as 'max_shards: 4'")
    parser.add_argument("--targets-program")
    parser.add_argument("--template")
    parser.add_argument("--sink")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="outage.")
    print(f"folder {folder}", flush=True)
    with ExitStack() as stack:
        parts = (Programs if options.sink else OwnParts)(stack, options)
        text = configuration(f"http://127.0.0.1:{parts.port}/api/v1/write", parts.instances, options.interval, options.queue)
        agent = stack.enter_context(Agent(options.pilotfish, folder, text, "--storage.remote.flush-deadline=5s")).ready()
        samples_in = lambda: agent.metric("prometheus_remote_storage_samples_in_total")  # noqa: E731
        start, cpu = time.time(), agent.cpu()
        print(f"{'minute':>8}{'samples in':>14}{'samples/s':>11}{'RSS MiB':>9}{'log MiB':>9}{'B/sample':>10}{'CPU %':>7}", flush=True)
        steps = max(4, min(15, int(options.minutes)))
        last, before = samples_in(), start
        for step in range(1, steps + 1):
            time.sleep(max(0, start + step * options.minutes * 60 / steps - time.time()))
            now, came, used = time.time(), samples_in(), agent.cpu()
            written = agent.metric("pilotfish_log_written_bytes_total")
            print(f"{(now - start) / 60:>8.1f}{came:>14.0f}{(came - last) / (now - before):>11.0f}{agent.resident():>9.1f}"
                  f"{written / (1 << 20):>9.0f}{written / came:>10.2f}{100 * (used - cpu) / (now - before):>7.1f}", flush=True)
            last, before, cpu = came, now, used

        backlog, up, cpu = samples_in(), time.time(), agent.cpu()
        parts.start()
        lags, is_over = [], threading.Event()
        watcher = threading.Thread(target=newest, args=(parts, lags, is_over))
        watcher.start()
        first, peak = None, 0.0
        while True:
            time.sleep(0.1)
            peak = max(peak, agent.resident())
            if first is None and parts.stats()["samples"]:
                first = time.time() - up
            if parts.stats()["samples"] >= backlog and agent.metric("prometheus_remote_storage_samples_pending") < 8 * last / max(before - start, 1):
                break
            if time.time() - up > 60 * options.minutes + 600:
                print("it does not catch up")
                break
        took, used, sent = time.time() - up, agent.cpu() - cpu, parts.stats()["samples"]
        print(f"catch-up: first sample after {first or took:.1f} s; {sent} samples in {took:.1f} s, {sent / took:.0f}/s; "
              f"CPU {100 * used / took:.0f} %, {used / sent * 1e6:.2f} s per million; RSS at most {peak:.1f} MiB")
        fresh = next((n for n, lag in enumerate(lags) if lag < 5), len(lags))
        print(f"fresh lag: {max(lags, default=0):.1f} s at most, under 5 s after {fresh / 4:.1f} s")
        time.sleep(5)
        steady = parts.stats()
        is_over.set()
        watcher.join()
        dropped = agent.metric("prometheus_remote_storage_samples_dropped_total")
        failed = agent.metric("prometheus_remote_storage_samples_failed_total")
        # SIGTERM sends the rest; the last count is a moment old.
        came = samples_in()
        agent.__exit__()
        final = parts.stats()
        print(f"fresh lag afterwards: {lags[-1]:.1f} s; samples in {came:.0f} (at least), arrived {final['samples']}, "
              f"lost {max(0, came - final['samples'] + final['duplicates']):.0f}, dropped {dropped:.0f}, failed {failed:.0f}, "
              f"duplicates {final['duplicates']}, out of order {final['out_of_order']}; uneven: {parts.uneven()}")
        return 0 if final["samples"] >= came and steady["out_of_order"] == 0 else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
