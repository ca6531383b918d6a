"""What the agent's benchmarks share: the agent as a process, its figures, and the parts of the end-to-end tests."""
import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "EndToEnd"))
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def until(what, condition, seconds):
    end = time.monotonic() + seconds
    while True:
        try:
            result = condition()
        except (OSError, ValueError):
            result = None
        if result:
            return result
        if time.monotonic() > end:
            sys.exit(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Agent:
    """`pilotfish agent` on a folder, with the configuration `text`."""

    def __init__(self, pilotfish, folder, text, *flags, environment=None):
        self.port, self.folder = free_port(), folder
        path = os.path.join(folder, "agent.yml")
        with open(path, "w") as f:
            f.write(text)
        with open(os.path.join(folder, "agent.log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.abspath(pilotfish), "agent", f"--config.file={path}", f"--storage.agent.path={folder}/log",
                 f"--web.listen-address=127.0.0.1:{self.port}", *flags], stdout=log, stderr=subprocess.STDOUT,
                env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
        self.kill()

    def ready(self):
        until("the agent is ready", lambda: self.process.poll() is not None or get(f"http://127.0.0.1:{self.port}/-/ready"), 120)
        if self.process.poll() is not None:
            sys.exit(f"the agent ended; see {self.folder}/agent.log")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def metric(self, name):
        """The sum of a metric's samples."""
        return sum(float(line.rsplit(" ", 1)[1]) for line in get(f"http://127.0.0.1:{self.port}/metrics").splitlines()
                   if line.startswith((name + "{", name + " ")))

    def cpu(self):
        """Seconds since its start."""
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self):
        """MiB."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS:"))


def configuration(url, instances, interval, queue=""):
    listed = ", ".join(f"'{instance}'" for instance in instances)
    return (f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, external_labels: {{cluster: bench}}}}\n"
            f"scrape_configs: [{{job_name: bench, static_configs: [{{targets: [{listed}]}}]}}]\n"
            f"remote_write: [{{url: '{url}', queue_config: {{{queue}}}}}]\n")
