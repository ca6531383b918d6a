#!/usr/bin/env python3
"""Credentials that live for seconds, from every source at once, through outages of the sources: what is lost.

usage: credential_lifetimes.py PILOTFISH --fakes DIR [--minutes 10] [--lifetime 30] [--keep]

One agent for each source of credentials writes to one workspace, which checks every signature and every expiry. The
folder DIR has stand-ins for AWS: fake_amp.py, fake_imds.py, fake_ecs.py and fake_sts.py, with `--listen`, `--port-file`,
`--seed` and `--ttl`, and the pages /-/faults, /-/set, /-/stats and /-/dump.

  instance        instance metadata, IMDSv1 off
  task            the container's credentials, as in ECS
  pod             the same with a token file that is rotated, as in EKS Pod Identity
  web identity    STS with a token file that is rotated, as in IRSA
  role            STS by static keys and role_arn

Twice all sources fail for three lifetimes: they answer 500, then they reset connections. Tokens are rotated each
lifetime. Samples missing must be 0; timed out are scrapes that the target answered too late.
"""
import argparse
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack

from agent_parts import Agent, get, until
from remote import STALE, Ledger, Targets

WORKSPACE = "ws-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ROLE = "arn:aws:iam::123456789012:role/writer"


class Fake:
    """A stand-in as a process; `restart` keeps its port."""

    def __init__(self, folder, path, *flags):
        self.path, self.flags, self.port = path, flags, 0
        self.port_file = os.path.join(folder, f"port-{id(self)}")
        self.start()

    def start(self):
        if os.path.exists(self.port_file):
            os.remove(self.port_file)
        self.process = subprocess.Popen(
            [sys.executable, self.path, "--quiet", "--listen", f"127.0.0.1:{self.port}", "--port-file", self.port_file,
             *self.flags])
        until(f"{self.path} listens", lambda: os.path.exists(self.port_file), 60)
        with open(self.port_file) as f:
            self.port = int(f.read())
        self.url = f"http://127.0.0.1:{self.port}"

    def restart(self, *flags):
        self.flags = flags
        self.stop()
        self.start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def post(self, page, value):
        request = urllib.request.Request(f"{self.url}/-/{page}", json.dumps(value).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


def written(path, text):
    """Replaces a file in one step, as the kubelet does."""
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)
    return path


class Sources:
    """The stand-ins, and what an agent's environment and its `sigv4` block say for each source."""

    def __init__(self, stack, folder, fakes, lifetime):
        def fake(name, *flags):
            return stack.enter_context(Fake(folder, os.path.join(fakes, name), "--ttl", str(lifetime), *flags))

        self.folder, self.round, self.is_out = folder, 0, None
        payload = ["--payload", self.payload(folder)]
        self.pod_flags = ["--ttl", str(lifetime), *payload]
        self.imds, self.task = fake("fake_imds.py"), fake("fake_ecs.py", *payload)
        self.pod = fake("fake_ecs.py", *payload, "--eks-token", "pod-0")
        self.sts = fake("fake_sts.py", "--web-token", "web-0")
        self.all = [self.imds, self.task, self.pod, self.sts]
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        sts = {"AWS_ENDPOINT_URL_STS": self.sts.url}
        self.agents = {
            "instance": ("{}", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.imds.url,
                                "AWS_EC2_METADATA_V1_DISABLED": "true"}),
            "task": ("{}", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.task.url + "/v2/credentials/task-cred-id"}),
            "pod": ("{}", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.pod.url + "/v1/credentials",
                           "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": written(f"{folder}/pod-token", "pod-0")}),
            "web identity": ("{}", {"AWS_WEB_IDENTITY_TOKEN_FILE": written(f"{folder}/web-token", "web-0"),
                                    "AWS_ROLE_ARN": ROLE, **sts}),
            "role": (f"{{role_arn: '{ROLE}'}}", {**keys, **sts}),
        }

    @staticmethod
    def payload(folder):
        """Of a task without containers, which nobody asks for."""
        path = os.path.join(folder, "payload")
        os.makedirs(path)
        container = {"DockerId": "a", "Name": "a"}
        for name, value in (("task_metadata", {"Containers": [container]}), ("task_stats", {"a": {"cpu_stats": {}}})):
            written(f"{path}/{name}.json", json.dumps(value))
        return path

    def fail(self, fault):
        """From now on all sources fail so; None: they are well."""
        self.is_out = fault
        for fake in self.all:
            fake.post("faults", [fault] if fault else [])

    def rotate(self):
        """New tokens; the old ones are refused from now on."""
        self.round += 1
        written(f"{self.folder}/pod-token", f"pod-{self.round}")
        self.pod.restart(*self.pod_flags, "--eks-token", f"pod-{self.round}")
        if self.is_out:
            self.pod.post("faults", [self.is_out])
        written(f"{self.folder}/web-token", f"web-{self.round}")
        self.sts.post("set", {"web_token": f"web-{self.round}"})


def configuration(amp, name, instance, sigv4):
    return (f"global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{source: '{name}'}}}}\n"
            f"scrape_configs: [{{job_name: bench, static_configs: [{{targets: ['{instance}']}}]}}]\n"
            f"remote_write:\n- url: {amp.url}/workspaces/{WORKSPACE}\n  sigv4: {sigv4}\n"
            "  queue_config: {batch_send_deadline: 1s}\n")


def environment(own, folder):
    """This process' environment with nothing of AWS but `own`."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**rest, "HOME": folder, "AWS_REGION": "us-east-1", **own}


def ledger_of(amp, name):
    """What the workspace has of a source."""
    ledger = Ledger()
    match = urllib.parse.quote(f'{{source="{name}"}}')
    for series in json.loads(get(f"{amp.url}/-/dump?match={match}")):
        known = ledger._find(dict(sorted(series["labels"].items())))
        for time_of, value in series["samples"]:
            number = {"stale": math.nan}.get(value) or float(value)
            bits = STALE if value == "stale" else struct.unpack("<Q", struct.pack("<d", number))[0]
            ledger.add(known, time_of, bits)
    return ledger


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pilotfish")
    parser.add_argument("--fakes", required=True, help="folder of the stand-ins")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--lifetime", type=int, default=30, help="of credentials, in seconds")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="pilotfish-credentials.")
    seconds, lifetime = options.minutes * 60, options.lifetime
    # When the sources fail, and how; the second outage ends two lifetimes before the run.
    outages = [(seconds * 0.2, {"status": 500}), (seconds - 5 * lifetime, {"reset": "before"})]
    if outages[0][0] + 3 * lifetime >= outages[1][0]:
        outages.pop()

    with ExitStack() as stack:
        amp = stack.enter_context(Fake(folder, os.path.join(options.fakes, "fake_amp.py"), "--key", f"{KEY}:{SECRET}"))
        sources = Sources(stack, folder, options.fakes, lifetime)
        targets = stack.enter_context(Targets(len(sources.agents)))
        agents, figures = {}, {}
        with ExitStack() as running:
            for instance, (name, (sigv4, own)) in zip(targets.instances, sources.agents.items()):
                path = os.path.join(folder, name.replace(" ", "-"))
                os.makedirs(path)
                agents[name] = instance, running.enter_context(Agent(
                    options.pilotfish, path, configuration(amp, name, instance, sigv4),
                    environment=environment(own, path)))
            for _, agent in agents.values():
                agent.ready()
            start, rotation = time.monotonic(), lifetime
            ends = [(at + 3 * lifetime, None) for at, _ in outages]
            plan = sorted(outages + ends, key=lambda step: step[0])
            while (now := time.monotonic() - start) < seconds:
                if plan and now >= plan[0][0]:
                    _, fault = plan.pop(0)
                    sources.fail(fault)
                    print(f"{now:5.0f} s  the sources {'answer ' + json.dumps(fault) if fault else 'are well'}", flush=True)
                if now >= rotation:
                    rotation += lifetime
                    sources.rotate()
                time.sleep(0.2)
            for name, (instance, agent) in agents.items():
                metric = agent.metric
                figures[name] = [int(metric(f"pilotfish_aws_credential_{what}_total")) for what in (
                    "refreshes", "refresh_failures")]
        print(f"{'source':<14}{'scrapes':>9}{'samples':>9}{'missing':>9}{'repeated':>10}{'timed out':>11}"
              f"{'refreshes':>11}{'failed':>8}")
        total = 0
        for name, (instance, _) in agents.items():
            ledger = ledger_of(amp, name)
            missing, late = ledger.missing(OneTarget(targets, instance), 1)
            # A scrape that was on its way when the agent ended.
            missing = {scrape: count for scrape, count in missing.items() if scrape[1] < targets.count(instance)}
            total += sum(missing.values())
            print(f"{name:<14}{targets.count(instance):>9}{ledger.delivered:>9}{sum(missing.values()):>9}"
                  f"{ledger.duplicates:>10}{len(late):>11}{figures[name][0]:>11}{figures[name][1]:>8}")
        stats = json.loads(get(f"{amp.url}/-/stats"))
        print(f"workspace: answers {stats['by_status']}, refusals {stats['by_reason']}")
    if options.keep:
        print(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if total else 0


class OneTarget:
    """One of several targets, as a ledger looks at them."""

    def __init__(self, targets, instance):
        self.instances, self.series, self.count = [instance], targets.series, targets.count
        self.asked, self.answered = targets.asked, targets.answered


if __name__ == "__main__":
    sys.exit(main())
