#!/usr/bin/env python3
"""kill -9 at random moments under load, with a flaky receiver: what is lost, repeated, or out of order.

usage: kill9.py PILOTFISH [--rounds 200] [--seconds 3] [--targets 110] [--series 450] [--seed N] [--keep]

Each round starts the agent on the same folder and kills it after a random time, 2 x SECONDS at most. The targets are
scraped every second. The receiver is well for a second or two, then for a while it answers 503 or 429, resets
connections, takes samples without an answer, or is slow.

  lost            samples that stood in the log at a kill, or were scraped 1.5 s or more before one, and never arrived
  timed out       samples that the target answered too late, or to an agent too busy: `up` is 0
  unlogged        samples scraped less than 1.5 s before a kill that had not reached the log, with the age of the oldest
  duplicates      repeats of a sample, timestamp and value the same; after each kill some are sent again
  out of order    samples of a series that arrived for the first time behind a later one
"""
import argparse
import random
import shutil
import sys
import tempfile
import threading
import time

from agent_parts import Agent, configuration, until
from remote import LogRecords, Receiver, Targets

# Scrapes older than this at a kill have no excuse: the log is written as soon as an answer is parsed.
GRACE = 1.5
FAULTS = ["503", "429", "reset", "lost", "slow"]


class Weather:
    """How the receiver answers now."""

    def __init__(self, chance):
        self.now, self.chance, self.is_over = "ok", chance, threading.Event()
        threading.Thread(target=self.change, daemon=True).start()

    def change(self):
        while not self.is_over.wait(self.chance.uniform(0.5, 2)):
            self.now = self.chance.choice(FAULTS)
            self.is_over.wait(self.chance.uniform(0.1, 0.8))
            self.now = "ok"

    def stop(self):
        self.is_over.set()
        self.now = "ok"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pilotfish")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3, help="mean length of a round")
    parser.add_argument("--targets", type=int, default=110)
    parser.add_argument("--series", type=int, default=450)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    folder = tempfile.mkdtemp(prefix="kill9.")
    records, kills = LogRecords(folder + "/log"), []
    weather = Weather(chance)
    print(f"seed {options.seed}, folder {folder}", flush=True)
    start = time.time()
    with Receiver(fault=lambda: weather.now) as receiver, Targets(options.targets, options.series) as targets:
        ledger = receiver.ledger
        text = configuration(
            f"http://127.0.0.1:{receiver.port}/api/v1/write", targets.instances, "1s", "batch_send_deadline: 1s, max_backoff: 1s")
        for number in range(1, options.rounds + 1):
            with Agent(options.pilotfish, folder, text) as agent:
                time.sleep(chance.uniform(0.05, 2 * options.seconds))
                killed = time.time()
                agent.kill()
            records.look()
            kills.append((killed - GRACE, killed, time.time() + GRACE))
            if number % 10 == 0:
                print(f"{number:>4} rounds {time.time() - start:>6.0f} s: {targets.total} scrapes answered, "
                      f"{ledger.delivered} samples delivered, {ledger.duplicates} duplicates, "
                      f"{ledger.disorder} out of order", flush=True)
        weather.stop()
        with Agent(options.pilotfish, folder, text) as agent:
            agent.ready()
            time.sleep(2)
            until("all is sent", lambda: agent.metric("prometheus_remote_storage_samples_pending") < 2 * options.series * options.targets, 600)
            dropped = agent.metric("prometheus_remote_storage_samples_dropped_total")
        # SIGTERM has sent what was left.
        with receiver.lock:
            missing, late = ledger.missing(targets, 1)
        unlogged, lost, oldest = 0, 0, 0.0
        for (target, scrape), count in missing.items():
            answered = targets.answered[target][scrape]
            kill = next((killed for first, killed, last in kills if first <= answered <= last), None)
            if kill is not None:
                unlogged += count
                oldest = max(oldest, kill - answered)
            elif scrape < targets.count(target):
                lost += count
                after = min((killed - answered for _, killed, _ in kills if killed > answered), default=float("nan"))
                print(f"lost: scrape {scrape} of {target}, {count} samples, answered {after:.3f} s before a kill")
        unsent = sum(max(0, count - ledger.by_time[at]) for at, count in records.samples.items())
        scraped = sum(len(scrapes) for scrapes in targets.answered.values()) * options.series
    print(f"rounds {options.rounds}, {time.time() - start:.0f} s; answers {dict(receiver.answers)}; {len(receiver.errors)} malformed")
    print(f"{'scraped':>12}{'logged':>12}{'delivered':>12}{'lost':>8}{'timed out':>11}{'unlogged':>10}{'oldest ms':>11}{'duplicates':>12}"
          f"{'differing':>11}{'out of order':>14}{'dropped':>9}")
    print(f"{scraped:>12}{sum(records.samples.values()):>12}{ledger.delivered:>12}{lost + unsent:>8}{sum(late.values()):>11}{unlogged:>10}"
          f"{oldest * 1000:>11.0f}{ledger.duplicates:>12}{ledger.mismatches:>11}{ledger.disorder:>14}{dropped:>9.0f}")
    if not options.keep:
        shutil.rmtree(folder)
    return 1 if lost + unsent + ledger.disorder + ledger.mismatches + len(receiver.errors) else 0


if __name__ == "__main__":
    sys.exit(main())
