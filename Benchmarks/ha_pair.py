#!/usr/bin/env python3
"""Two replicas and a receiver that takes the samples of one of them: what is missing after the elected one is killed.

usage: ha_pair.py PILOTFISH [--prometheus PROMETHEUS] [--kills 20] [--failover 30] [--update 15] [--targets 20]
                  [--series 20] [--interval 1] [--fakes DIR] [--seed N] [--keep]

A pair of pilotfish agents, and with --prometheus a pair of `prometheus --agent`, scrape the same targets, each pair with
a cluster of its own. The elected replica of each pair is killed (-9) at random moments, and started again when the
other one is elected. A scrape is missing where two stored samples of a series are more than 1.5 intervals apart.

The receiver elects as Cortex does: by the first series of a request; whoever comes --failover seconds after the elected
one was heard of, which is noted every --update seconds. With --fakes DIR it is DIR/fake_amp.py instead, a program that
stands in for Amazon Managed Service for Prometheus.
"""
import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from agent_parts import free_port, get, until
from remote import Targets
import ha_tests

REPLICAS = "ab"


class Fake:
    """fake_amp.py of a folder."""

    workspace = "ws-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"

    def __init__(self, folder, failover, update):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/workspaces/{self.workspace}/api/v1/remote_write"
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(folder, "fake_amp.py"), "--listen", f"127.0.0.1:{self.port}", "--quiet",
             "--verify", "never", "--limit", f"ha_failover_s={failover}", "--limit", f"ha_update_s={update}"])

    def __enter__(self):
        until("the receiver is ready", lambda: get(f"http://127.0.0.1:{self.port}/-/ready") is not None, 30)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def elected(self, cluster):
        return self.stats()["ha"].get(cluster, {}).get("elected")

    def stats(self):
        return json.loads(get(f"http://127.0.0.1:{self.port}/-/stats"))

    def times(self, cluster):
        """The timestamps of each series."""
        found = json.loads(get(f'http://127.0.0.1:{self.port}/-/dump?match=%7Bcluster%3D%22{cluster}%22%7D'))
        return {tuple(sorted(s["labels"].items())): sorted(at for at, value in s["samples"] if value != "stale") for s in found}


class Own(ha_tests.Electorate):
    """The end-to-end tests' receiver."""

    def __init__(self, failover, update):
        ha_tests.FAILOVER, ha_tests.UPDATE = failover, update
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}/push"

    def elected(self, cluster):
        return self.elections.get(cluster)

    def stats(self):
        return {"answers": dict(self.answers), "errors": len(self.errors)}

    def times(self, cluster):
        with self.lock:
            return {name: sorted({at for at, bits in samples if bits != ha_tests.STALE})
                    for name, samples in self.stored.items() if dict(name).get("cluster") == cluster}


class Pair:
    """Two replicas of one program."""

    def __init__(self, name, program, folder, receiver, targets, interval):
        self.name, self.program, self.folder = name, program, folder
        self.processes, self.ports = {}, {}
        listed = ", ".join(f"'{instance}'" for instance in targets.instances)
        for replica in REPLICAS:
            path = self.path(replica)
            os.makedirs(path)
            with open(f"{path}/agent.yml", "w") as f:
                f.write(f"global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s, "
                        f"external_labels: {{cluster: {name}, __replica__: {replica}}}}}\n"
                        f"scrape_configs: [{{job_name: bench, static_configs: [{{targets: [{listed}]}}]}}]\n"
                        f"remote_write: [{{url: '{receiver.url}'}}]\n")

    def path(self, replica):
        return f"{self.folder}/{self.name}-{replica}"

    def start(self, replica):
        port, path = free_port(), self.path(replica)
        command = [self.program, "--agent"] if self.name == "prometheus" else [self.program, "agent"]
        with open(f"{path}/log.txt", "ab") as log:
            self.processes[replica] = subprocess.Popen(
                [*command, f"--config.file={path}/agent.yml", f"--storage.agent.path={path}/data",
                 f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=subprocess.STDOUT)
        self.ports[replica] = port

    def kill(self, replica):
        self.processes[replica].kill()
        self.processes[replica].wait()

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()

    def metric(self, replica, name):
        return sum(float(line.rsplit(" ", 1)[1]) for line in get(f"http://127.0.0.1:{self.ports[replica]}/metrics").splitlines()
                   if line.startswith(name + "{"))


def gaps(times, interval, first, last):
    """The longest gap, in seconds, and how many scrapes of targets and samples are missing between two times."""
    longest, scrapes, samples = 0.0, collections.Counter(), 0
    for name, known in times.items():
        labels = dict(name)
        if not labels["__name__"].startswith("ticks"):
            continue
        known = [at / 1000 for at in known]
        missing = 0
        for before, after in zip(known, known[1:]):
            if before < first or after > last:
                continue
            longest = max(longest, after - before)
            if after - before > 1.5 * interval:
                missing += round((after - before) / interval) - 1
        samples += missing
        scrapes[labels["instance"]] = max(scrapes[labels["instance"]], missing)
    return longest, sum(scrapes.values()), samples


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pilotfish")
    parser.add_argument("--prometheus")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--failover", type=float, default=30)
    parser.add_argument("--update", type=float, default=15)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--fakes")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    folder = tempfile.mkdtemp(prefix="ha_pair.")
    print(f"seed {options.seed}, folder {folder}", flush=True)
    interval = int(options.interval) if options.interval.is_integer() else options.interval
    receiver = (Fake(options.fakes, options.failover, options.update) if options.fakes
                else Own(options.failover, options.update))
    start = time.time()
    with receiver, Targets(options.targets, options.series) as targets:
        programs = {"pilotfish": os.path.abspath(options.pilotfish)}
        if options.prometheus:
            programs["prometheus"] = options.prometheus
        pairs = [Pair(name, program, folder, receiver, targets, interval) for name, program in programs.items()]
        try:
            for pair in pairs:
                pair.start("a")
            until("each pair has its leader", lambda: all(receiver.elected(pair.name) for pair in pairs), 60)
            for pair in pairs:
                pair.start("b")
            time.sleep(6 + 2 * options.interval)
            first = time.time()
            for kill in range(1, options.kills + 1):
                time.sleep(chance.uniform(0, options.update + options.failover / 2))
                leaders = {pair: receiver.elected(pair.name) for pair in pairs}
                for pair, leader in leaders.items():
                    pair.kill(leader)
                until("the others are elected", lambda: all(receiver.elected(p.name) != l for p, l in leaders.items()),
                      options.failover + options.update + 60)
                for pair, leader in leaders.items():
                    pair.start(leader)
                # The one that was killed has scraped for a while when the next one is killed.
                time.sleep(6 + 2 * options.interval)
                print(f"{kill:>4} kills {time.time() - start:>6.0f} s", flush=True)
            time.sleep(6)
            last = time.time() - 6
            resent = sum(pairs[0].metric(replica, "pilotfish_remote_write_ha_samples_resent_total") for replica in REPLICAS)
        finally:
            for pair in pairs:
                pair.stop()
        print(f"\nkills {options.kills}, failover {options.failover:g} s, noted every {options.update:g} s, "
              f"{options.targets} targets of {options.series} series every {interval} s, {last - first:.0f} s")
        print(f"{'':<12}{'missing scrapes':>17}{'missing samples':>17}{'longest gap s':>15}")
        failed = False
        for pair in pairs:
            longest, scrapes, samples = gaps(receiver.times(pair.name), options.interval, first, last)
            failed |= pair.name == "pilotfish" and scrapes > 0
            print(f"{pair.name:<12}{scrapes:>17}{samples:>17}{longest:>15.1f}")
        print(f"sent again by those that are alive at the end: {resent:.0f} samples")
        stats = receiver.stats()
        print("receiver:", {key: stats[key] for key in (
            "by_status", "rejected", "samples_ooo_accepted", "samples_exact_duplicate", "ha", "answers", "errors") if key in stats})
    if not options.keep:
        shutil.rmtree(folder)
    return failed


if __name__ == "__main__":
    sys.exit(main())
