"""Two replicas and a receiver that takes the samples of one of them, as Cortex and Amazon Managed Service for Prometheus
do: the elected one is killed again and again, and no scrape is missing."""
import collections
import contextlib
import http.server
import os
import random
import struct
import threading
import time
import urllib.parse

from parts import PILOTFISH, free_port, get, process, until
from remote import fields, label, sample, uncompress
from serving import Serving

ROUNDS = int(os.environ.get("KILLS", 4))
FAILOVER = 3.0
UPDATE = 1.0


class Electorate(Serving):
    """A receiver of remote write 1.0 that elects a replica of each cluster.

    By the first series of a request, and by that one only; whoever comes when the elected one was not heard of for
    FAILOVER seconds is elected next. When the elected one is heard of is noted every UPDATE seconds.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.elections, self.heard, self.switches = {}, {}, 0
        # The values of each series without its replica; what each replica has sent of it last.
        self.stored = collections.defaultdict(set)
        self.newest = collections.defaultdict(int)
        self.answers = collections.Counter()
        self.errors = []
        electorate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    status, text = electorate.take(uncompress(body))
                except Exception as error:
                    electorate.errors.append(repr(error))
                    status, text = 400, b"malformed"
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def elect(self, cluster, replica):
        """Whether samples of the replica are taken."""
        now = time.monotonic()
        if self.elections.get(cluster) == replica:
            if now - self.heard[cluster] >= UPDATE:
                self.heard[cluster] = now
            return True
        if cluster in self.elections and now - self.heard[cluster] < FAILOVER:
            return False
        self.switches += cluster in self.elections
        self.elections[cluster], self.heard[cluster] = replica, now
        return True

    def take(self, message):
        series = []
        for number, content in fields(message):
            if number == 1:
                labels = dict(label(value) for field, value in fields(content) if field == 1)
                series.append((labels, [sample(value) for field, value in fields(content) if field == 2]))
        with self.lock:
            keys = {(labels.get("cluster", ""), labels.pop("__replica__", "")) for labels, _ in series}
            if len(keys) > 1:
                self.errors.append(f"a request of {keys}")
            if keys and all(key := keys.pop()) and not self.elect(*key):
                self.answers[202] += 1
                return 202, f"replicas did not match, rejecting sample: replica={key[1]}, elected={self.elections[key[0]]}".encode()
            self.answers[200] += 1
            for labels, samples in series:
                name = tuple(sorted(labels.items()))
                for timestamp, bits in samples:
                    if timestamp < self.newest[key, name] and (timestamp, bits) not in self.stored[name]:
                        self.errors.append(f"out of order: {key} {name}")
                    self.newest[key, name] = max(self.newest[key, name], timestamp)
                    self.stored[name].add((timestamp, bits))
        return 200, b""


class NumberedTarget(Serving):
    """A target that numbers its scrapes and knows which replica asked. One of its series has a cluster of its own."""

    def __init__(self):
        self.lock, self.number = threading.Lock(), 0
        # (replica, number, when the answer was handed over)
        self.scrapes = []
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                replica = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["replica"][0]
                with target.lock:
                    target.number += 1
                    number = target.number
                body = f'ticks {number}\nticks{{cluster="other"}} {number}\n'.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
                with target.lock:
                    target.scrapes.append((replica, number, time.time()))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]


def configuration(replica, receiver, targets):
    listed = ", ".join(f"'127.0.0.1:{target.port}'" for target in targets)
    return f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, external_labels: {{cluster: c, __replica__: {replica}}}}}
scrape_configs:
- {{job_name: t, honor_labels: true, params: {{replica: [{replica}]}}, static_configs: [{{targets: [{listed}]}}]}}
remote_write:
- {{url: 'http://127.0.0.1:{receiver.port}/push', queue_config: {{batch_send_deadline: 200ms, max_backoff: 1s}}}}
"""


def replica(folder, name, port, text):
    path = folder.file(f"{name}.yml", text)
    return process(
        [PILOTFISH, "agent", f"--config.file={path}", f"--storage.agent.path={folder.path}/{name}",
         f"--web.listen-address=127.0.0.1:{port}"],
        f"{folder.path}/agent.log", f"http://127.0.0.1:{port}/-/ready")


def absent(receiver, targets, who, first, last):
    """Scrapes that the replica was answered between two times, and that are not stored."""
    found = collections.defaultdict(set)
    with receiver.lock:
        for name, samples in receiver.stored.items():
            labels = dict(name)
            if labels["__name__"] == "ticks":
                found[labels["instance"], labels["cluster"]] = {bits for _, bits in samples}
    missing = []
    for target in targets:
        with target.lock:
            numbers = [number for replica, number, at in target.scrapes if replica == who and first <= at <= last]
        for cluster in ("c", "other"):
            known = found[f"127.0.0.1:{target.port}", cluster]
            missing += [(target.port, cluster, number) for number in numbers if bits_of(number) not in known]
    return missing


def bits_of(number):
    return int.from_bytes(struct.pack("<d", number), "little")


def test_ha_failover(folder):
    """The elected replica is killed (-9); all that the other one scrapes from a second before that on is stored."""
    ports = {"a": free_port(), "b": free_port()}
    with Electorate() as receiver, contextlib.ExitStack() as stack:
        targets = [stack.enter_context(NumberedTarget()) for _ in range(3)]
        agents = {}

        def start(name):
            agents[name] = stack.enter_context(replica(folder, name, ports[name], configuration(name, receiver, targets)))

        start("a")
        until("a is elected", lambda: receiver.elections.get("c") == "a" and receiver.elections.get("other") == "a")
        start("b")
        for _ in range(ROUNDS):
            leader = until("one leads, the other stands by", lambda: leading(receiver, ports))
            standby = "ab".replace(leader, "")
            start_of_reign = time.time()
            time.sleep(random.uniform(0, 2))
            killed = time.time()
            agents[leader].kill()
            agents[leader].wait()
            until("the other one is elected", lambda: receiver.elections["c"] == receiver.elections["other"] == standby)
            elected = time.time()
            until("all is sent", lambda: not absent(
                receiver, targets, standby, max(start_of_reign, killed - 1), elected))
            start(leader)
        assert not receiver.errors, receiver.errors[:3]
        assert receiver.switches >= 2 * ROUNDS and receiver.answers[202] > 0, (receiver.switches, receiver.answers)
        assert metric(ports[standby], "pilotfish_remote_write_ha_samples_resent_total") > 0


def test_ha_restart_of_the_standby(folder):
    """The standby is restarted just before the elected replica is killed: what it had withheld is not lost."""
    ports = {"a": free_port(), "b": free_port()}
    with Electorate() as receiver, contextlib.ExitStack() as stack:
        targets = [stack.enter_context(NumberedTarget())]

        def start(name):
            return stack.enter_context(replica(folder, name, ports[name], configuration(name, receiver, targets)))

        leader = start("a")
        until("a is elected", lambda: receiver.elections.get("c") == "a" and receiver.elections.get("other") == "a")
        standby = start("b")
        until("b stands by", lambda: standing_by(ports["b"]) == 2)
        first = time.time()
        until("b scrapes", lambda: sum(replica == "b" and at > first for replica, _, at in targets[0].scrapes) > 10)
        last = time.time() - 0.5
        leader.kill()
        leader.wait()
        standby.kill()
        standby.wait()
        start("b")
        until("b is elected", lambda: receiver.elections["c"] == receiver.elections["other"] == "b")
        until("all is sent", lambda: not absent(receiver, targets, "b", first, last))
        assert not receiver.errors, receiver.errors[:3]


def leading(receiver, ports):
    """The replica that is elected by both clusters while the other one stands by; None when there is none."""
    leader = receiver.elections["c"]
    standby = "ab".replace(leader, "")
    if receiver.elections["other"] == leader and standing_by(ports[standby]) == 2 and standing_by(ports[leader]) == 0:
        return leader


def metric(port, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in get(f"http://127.0.0.1:{port}/metrics").splitlines()
               if line.startswith(name + "{"))


def standing_by(port):
    with contextlib.suppress(OSError):
        return metric(port, "pilotfish_remote_write_ha_standby")
