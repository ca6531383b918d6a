#!/usr/bin/env python3
"""End-to-end tests: pilotfish beside real parts, on loopback.

usage: run.py PILOTFISH [NAME ...]     without names: all tests

Each test starts what it needs, waits until it is ready, and stops it by pid. Needs Debian's `prometheus`.
"""
import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

PILOTFISH = os.path.abspath(sys.argv[1])


# -- parts

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

    def agent(self, port, config):
        path = self.file("agent.yml", config)
        return process(
            [PILOTFISH, "agent", f"--config.file={path}", f"--web.listen-address=127.0.0.1:{port}"],
            os.path.join(self.path, "agent.log"), f"http://127.0.0.1:{port}/-/ready")

    def exporter(self, port, *flags):
        return process(
            [PILOTFISH, f"--web.listen-address=127.0.0.1:{port}", *flags],
            os.path.join(self.path, "exporter.log"), f"http://127.0.0.1:{port}/")


class Target:
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

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


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


# -- tests

def test_metrics_reach_prometheus(folder):
    """up, a rate over node_cpu_seconds_total, labels and external labels."""
    receiver, port = free_port(), free_port()
    with folder.prometheus(receiver), folder.agent(port, config(receiver, [("node", port)])):
        up = until("up arrives", lambda: query(receiver, "up"))
        assert up[0]["metric"] == {
            "__name__": "up", "job": "node", "instance": f"127.0.0.1:{port}", "cluster": "test", "__replica__": "a"}, up
        assert up[0]["value"][1] == "1"
        rates = until("a rate", lambda: query(receiver, "sum(rate(node_cpu_seconds_total[30s]))"))
        assert 0 < float(rates[0]["value"][1]) <= 2 * os.cpu_count(), rates
        targets = json.loads(get(f"http://127.0.0.1:{port}/api/v1/targets"))["data"]["activeTargets"]
        assert [t["health"] for t in targets] == ["up"], targets


def test_series_end_with_their_target(folder):
    """A target that stops: its series vanish at once, up becomes 0."""
    receiver, port = free_port(), free_port()
    with folder.prometheus(receiver), Target() as target, folder.agent(port, config(receiver, [("t", target.port)])):
        until("ticks arrive", lambda: query(receiver, "ticks"))
        target.close()
        until("up is 0", lambda: query(receiver, "up == 0"))
        # Without a staleness marker the series would stay for five minutes.
        until("ticks are gone", lambda: not query(receiver, "ticks"), 10)


def test_an_outage_loses_nothing(folder):
    """The receiver is down for some scrapes: every scrape arrives, in order, once."""
    receiver, port = free_port(), free_port()
    with Target() as target, folder.agent(port, config(receiver, [("t", target.port)])):
        with folder.prometheus(receiver):
            until("ticks arrive", lambda: query(receiver, "ticks"))
        before = target.count
        until("scrapes go on without a receiver", lambda: target.count >= before + 10)
        with folder.prometheus(receiver):
            until("the backlog arrives", lambda: (samples(receiver, "ticks") or [0])[-1] > before + 10)
            values = samples(receiver, "ticks")
            assert values == [float(n) for n in range(1, len(values) + 1)], values
            text = get(f"http://127.0.0.1:{port}/metrics")
            assert not any(line.startswith("prometheus_remote_storage_samples_dropped_total") and not line.endswith(" 0")
                           for line in text.splitlines())


def test_sigterm_sends_what_was_scraped(folder):
    """SIGTERM: exit 0, and the last scrape is at the receiver, though its batch was not due."""
    receiver, port = free_port(), free_port()
    with folder.prometheus(receiver), Target() as target:
        with folder.agent(port, config(receiver, [("t", target.port)], queue="batch_send_deadline: 50s")) as agent:
            until("some scrapes", lambda: target.count >= 3)
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(60) == 0
        values = samples(receiver, "ticks")
        assert values[-1] >= target.count - 1 and values == [float(n) for n in range(1, len(values) + 1)], values


def test_hangup_does_not_end_it(folder):
    port = free_port()
    with folder.exporter(port) as exporter:
        exporter.send_signal(signal.SIGHUP)
        assert "node_load1" in until("an answer", lambda: get(f"http://127.0.0.1:{port}/metrics"))
        assert exporter.poll() is None
        exporter.terminate()
        assert exporter.wait(20) == 0


def test_fifo_in_textfile_folder(folder):
    """A FIFO where a file should be loses nothing but itself."""
    os.mkfifo(os.path.join(folder.path, "x.prom"))
    folder.file("good.prom", "from_file 7\n")
    port = free_port()
    with folder.exporter(port, f"--collector.textfile.directory={folder.path}"):
        text = get(f"http://127.0.0.1:{port}/metrics")
        for line in ["from_file 7", "node_textfile_scrape_error 1", 'node_scrape_collector_success{collector="loadavg"} 1']:
            assert f"\n{line}\n" in text, line


def test_textfile_does_not_replace_the_kernel(folder):
    folder.file("load.prom", "# HELP node_load1 Mine.\nnode_load1 12345\n")
    port = free_port()
    with folder.exporter(port, f"--collector.textfile.directory={folder.path}"):
        text = get(f"http://127.0.0.1:{port}/metrics")
        assert "node_load1 12345" not in text and "# HELP node_load1 1m load average." in text


def refused(*arguments):
    result = subprocess.run([PILOTFISH, *arguments], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1, (result.returncode, result.stderr)
    return result.stderr


def test_bad_starts_say_why(folder):
    """Bad flags, bad YAML, unknown keys, a port in use: one line each, status 1."""
    assert "unknown long flag '--nope', try --help" in refused("--nope")
    bad = folder.file("bad.yml", "scrape_configs:\n- job_name: a\n  scrap_interval: 5s\n")
    assert f"{bad}:3:3: scrape_configs[0].scrap_interval: unknown key, did you mean scrape_interval?" in refused(
        "agent", f"--config.file={bad}")
    torn = folder.file("torn.yml", "global: {scrape_interval: 5s\nx: [")
    assert f"{torn}:" in refused("agent", f"--config.file={torn}")
    secret = folder.file("secret.yml", "remote_write: [{url: 'ftp://user:hunter2@h/w'}]\n")
    assert "hunter2" not in refused("agent", f"--config.file={secret}")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        assert f"listen tcp 127.0.0.1:{port}: bind: address already in use" in refused(f"--web.listen-address=127.0.0.1:{port}")


def test_each_format_says_the_same(folder):
    """Prometheus by OpenMetrics and by protobuf: the series of the text format, with the same values."""
    folder.file("x.prom", "# TYPE h histogram\nh_bucket{le=\"1.5\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n"
                "# TYPE s summary\ns{a=\"q\\\"\\\\\\n\",quantile=\"0.5\"} 1\ns_sum{a=\"q\\\"\\\\\\n\"} 2\ns_count{a=\"q\\\"\\\\\\n\"} 3\n")
    port = free_port()
    wanted = '{__name__=~"node_.*|process_.*|promhttp_.*|h_.*|s|s_.*"}'
    found = {}
    with folder.exporter(port, f"--collector.textfile.directory={folder.path}"):
        scrape = folder.file("scrape.yml", "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
                             f"- job_name: node\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n")
        for name, features in [("openmetrics", []), ("protobuf", ["--enable-feature=native-histograms"])]:
            receiver = free_port()
            with process(["prometheus", f"--config.file={scrape}", f"--storage.tsdb.path={folder.path}/{name}",
                          f"--web.listen-address=127.0.0.1:{receiver}", *features],
                         os.path.join(folder.path, "receiver.log"), f"http://127.0.0.1:{receiver}/-/ready"):
                until("up", lambda: query(receiver, "up == 1"))
                found[name] = {tuple(sorted(r["metric"].items())): float(r["value"][1]) for r in query(receiver, wanted)}
        text = get(f"http://127.0.0.1:{port}/metrics")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    by_name = {}
    for line in lines:
        name = line.split("{")[0].split(" ")[0]
        by_name[name] = by_name.get(name, 0) + 1
    for name, series in found.items():
        counts = {}
        for labels in series:
            n = dict(labels)["__name__"]
            counts[n] = counts.get(n, 0) + 1
        differing = {n: (by_name.get(n), counts.get(n)) for n in by_name.keys() | counts.keys()
                     if by_name.get(n) != counts.get(n) and not n.startswith("go_")}
        assert not differing, (name, differing)
    assert found["openmetrics"].keys() == found["protobuf"].keys(), found["openmetrics"].keys() ^ found["protobuf"].keys()
    for series, value in found["openmetrics"].items():
        name = dict(series)["__name__"]
        if name.endswith("_info") or name.startswith(("h_", "s_", "node_boot", "node_memory_MemTotal", "node_filesystem_size")):
            assert found["protobuf"][series] == value, (series, value)


def test_promtool_finds_no_more_than_in_the_kernels_names(folder):
    """promtool check metrics: nothing but the names that node_exporter has as well."""
    port = free_port()
    with folder.exporter(port):
        text = get(f"http://127.0.0.1:{port}/metrics")
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    assert "error while linting" not in result.stderr, result.stderr
    for line in (result.stdout + result.stderr).splitlines():
        assert line.startswith("node_"), line


def main():
    names = sys.argv[2:]
    tests = [(n[5:], f) for n, f in sorted(globals().items()) if n.startswith("test_") and (not names or n[5:] in names)]
    failed = 0
    for name, test in tests:
        path = tempfile.mkdtemp(prefix="pilotfish-e2e.")
        start = time.monotonic()
        try:
            test(Folder(path))
            print(f"ok   {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception as e:
            failed += 1
            print(f"FAIL {name}: {type(e).__name__}: {str(e)[:2000]}", flush=True)
            for log in ("agent.log", "exporter.log"):
                with contextlib.suppress(OSError), open(os.path.join(path, log)) as f:
                    print(f.read()[-1500:])
        finally:
            shutil.rmtree(path, ignore_errors=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
