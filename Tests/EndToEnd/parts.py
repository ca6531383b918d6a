"""What the tests start and look at: pilotfish, Prometheus, a target; on loopback, stopped by pid."""
import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from serving import Serving

PILOTFISH = os.path.abspath(sys.argv[1])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, timeout=10, headers={}):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as r:
        return r.read().decode("utf-8", "replace")


def until(what, condition, seconds=60):
    """Waits until condition() is true; an error of the network counts as false."""
    end = time.monotonic() + seconds
    while True:
        try:
            result = condition()
        except (OSError, urllib.error.URLError, ValueError):
            result = None
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


@contextlib.contextmanager
def process(command, log, ready=None):
    with open(log, "ab") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        if ready:
            until(f"{command[0]} is ready", lambda: child.poll() is not None or get(ready))
            assert child.poll() is None, f"{command[0]} ended: {open(log).read()[-2000:]}"
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(90)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


class Folder:
    """A temporary folder, and the parts that tests start in it."""

    def __init__(self, path):
        self.path = path

    def file(self, name, text=""):
        path = os.path.join(self.path, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def prometheus(self, port):
        config = self.file("receiver.yml", "scrape_configs: []\n")
        return process(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.path}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"],
            os.path.join(self.path, "receiver.log"), f"http://127.0.0.1:{port}/-/ready")

    def agent(self, port, config, *flags):
        path = self.file("agent.yml", config)
        return process(
            [PILOTFISH, "agent", f"--config.file={path}", f"--storage.agent.path={self.path}/log",
             f"--web.listen-address=127.0.0.1:{port}", *flags],
            os.path.join(self.path, "agent.log"), f"http://127.0.0.1:{port}/-/ready")

    def exporter(self, port, *flags):
        return process(
            [PILOTFISH, f"--web.listen-address=127.0.0.1:{port}", *flags],
            os.path.join(self.path, "exporter.log"), f"http://127.0.0.1:{port}/")


class Target(Serving):
    """A target whose every scrape answers one series, `ticks`, with the number of the scrape."""

    def __init__(self):
        target, self.count = self, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                target.count += 1
                body = f"# TYPE ticks counter\nticks {target.count}\ngone_later 1\n".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


def query(port, text, **parameters):
    parameters["query"] = text
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode(parameters)
    return json.loads(get(url))["data"]["result"]


def config(receiver, targets, interval="1s", queue="batch_send_deadline: 300ms", labels="{cluster: test, __replica__: a}"):
    jobs = "".join(f"- job_name: {job}\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n" for job, port in targets)
    return (f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, external_labels: {labels}}}\n"
            f"scrape_configs:\n{jobs}"
            f"remote_write:\n- url: http://127.0.0.1:{receiver}/api/v1/write\n  queue_config: {{{queue}}}\n")


def samples(port, series, window="10m"):
    result = query(port, f"{series}[{window}]")
    return [float(v) for _, v in result[0]["values"]] if result else []


def refused(*arguments):
    result = subprocess.run([PILOTFISH, *arguments], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1, (result.returncode, result.stderr)
    return result.stderr
