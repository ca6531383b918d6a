"""The bill: figures of a running agent against what its receiver got; the guard against floods of series."""
import http.server
import json
import os
import signal
import struct
import subprocess

from parts import PILOTFISH, free_port, get, until
from remote import STALE, Receiver
from serving import Serving

ONE = struct.pack("<d", 1.0)


class Page(Serving):
    """A target on all addresses of 127/8 that shows `series`, each with the value 1."""

    def __init__(self, series):
        page = self
        self.series = series

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = "".join(f"{name} 1\n" for name in page.series).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("", 0), Handler)
        self.port = self.server.server_address[1]


def names(name, count):
    return [f'{name}{{n="{n}"}}' for n in range(count)]


def cost(port, *flags):
    result = subprocess.run(
        [PILOTFISH, "amp", "cost", f"--agent=127.0.0.1:{port}", "--output=json", "--top=1000", *flags],
        capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def received(receiver, **labels):
    """Series that have arrived with these labels: {labels: {timestamp: value's bits}}, without staleness markers."""
    with receiver.lock:
        return {
            key: {at: bits for at, bits in series.others.items() if bits != STALE}
            for key, series in receiver.ledger.series.items()
            if all(series.labels.get(name) == value for name, value in labels.items())}


def metric(port, name):
    for line in get(f"http://127.0.0.1:{port}/metrics").splitlines():
        if line.startswith(name + " "):
            return float(line.split(" ")[1])
    return None


def test_the_bill_is_what_was_sent(folder):
    """Series and samples of each job, target and name are those that arrive; a rule's savings are what does not."""
    port = free_port()
    series = names("kept", 30) + names("saved", 10) + names("unwanted", 5)
    with Page(series) as page, Receiver() as receiver:
        agent = folder.agent(port, f"""
global: {{scrape_interval: 1s, external_labels: {{cluster: c, __replica__: r}}}}
scrape_configs:
- job_name: fast
  metric_relabel_configs: [{{action: drop, source_labels: [__name__], regex: unwanted}}]
  static_configs: [{{targets: ['127.0.0.1:{page.port}', '127.0.0.2:{page.port}']}}]
- job_name: slow
  scrape_interval: 2s
  static_configs: [{{targets: ['127.0.0.1:{page.port}']}}]
remote_write:
- url: http://127.0.0.1:{receiver.port}/api/v1/write
  name: main
  write_relabel_configs:
  - {{action: drop, source_labels: [__name__], regex: nothing}}
  - {{action: drop, source_labels: [__name__], regex: saved}}
""")
        with agent:
            def is_enough():
                ups = received(receiver, __name__="up")
                return len(ups) == 3 and all(len(series) >= 10 for series in ups.values())
            until("ten scrapes of each target have arrived", is_enough, 120)
            report = cost(port, "--account-samples=40000000")
            jobs = {row["job"]: row for row in report["jobs"]}
            assert {job: row["series"] for job, row in jobs.items()} == {"fast": 2 * 35, "slow": 40}, jobs
            for job, seconds in (("fast", 1), ("slow", 2)):
                assert jobs[job]["samplesPerDay"] == jobs[job]["series"] * 86400 / seconds, jobs
            for row in report["targets"]:
                seconds = 1 if row["job"] == "fast" else 2
                up = next(iter(received(receiver, __name__="up", job=row["job"], instance=row["instance"]).values()))
                # What came of the scrapes that were good: each the series of the report.
                good = sorted(at for at, bits in up.items() if bits == int.from_bytes(ONE, "little"))[:-1]
                count = sum(
                    at in series for series in received(receiver, job=row["job"], instance=row["instance"]).values()
                    for at in good)
                assert good and count == row["series"] * len(good), (row, len(good), count)
                assert row["samplesPerDay"] == row["series"] * 86400 / seconds, row
            for row in report["metrics"]:
                assert row["series"] == len(received(receiver, __name__=row["metric"])), row
            assert {row["metric"] for row in report["metrics"]} == {
                dict(key)["__name__"] for key in received(receiver)}, report["metrics"]
            main, = report["remotes"]
            assert main["series"] == 110 and main["name"] == "main", main
            assert [(rule["index"], rule["series"]) for rule in main["rules"]] == [(0, 0), (1, 30)], main
            assert main["rules"][1]["samplesPerDay"] == 20 * 86400 + 10 * 43200, main
            month = main["samplesPerDay"] * 365 / 12
            assert abs(main["costPerMonth"] - month / 1e7 * 0.9) < 0.01, main
            # The same by the page, and by other prices.
            page_text = get(f"http://127.0.0.1:{port}/cost")
            assert "<td>fast</td><td>70</td>" in page_text and "regex: saved" in page_text, page_text[:3000]
            prices = folder.file("prices.yml", "currency: EUR\nsamples_ingested: [{per_10_million: 10}]\n")
            other = cost(port, f"--prices={prices}")
            assert abs(other["remotes"][0]["costPerMonth"] - month / 1e6) < 0.01 and other["prices"]["currency"] == "EUR"


def test_the_guard_refuses_what_is_new(folder):
    """Over a ceiling exactly the new series stay out, and are named; the old ones go on, and leave room when they end."""
    port = free_port()
    ceilings = "jobs: [{job_name: t, max_series: 45}]\nmetrics: [{name: flood, max_series: 2}]\n"
    guard = folder.file("guard.yml", ceilings)
    with Page(names("old", 40)) as page, Receiver() as receiver:
        agent = folder.agent(port, f"""
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: t, static_configs: [{{targets: ['127.0.0.1:{page.port}']}}]}}]
remote_write: [{{url: 'http://127.0.0.1:{receiver.port}/api/v1/write', queue_config: {{batch_send_deadline: 300ms}}}}]
""", f"--agent.guard.file={guard}")
        with agent as process:
            until("the old ones arrive", lambda: len(received(receiver, __name__="old")) == 40)
            # In front of the old ones: each of these is met before them.
            page.series = names("flood", 10) + names("new", 7) + names("old", 40)
            until("the guard refuses", lambda: metric(port, 'pilotfish_guard_refused_series{scrape_job="t"}') == 12)
            assert metric(port, 'pilotfish_guard_series{scrape_job="t"}') == 45
            assert metric(port, 'pilotfish_guard_refused_series_total{scrape_job="t"}') == 12
            newest = max(max(times) for times in received(receiver, __name__="old").values())

            def go_on():
                old = received(receiver, __name__="old")
                return len(old) == 40 and all(max(times) > newest + 3000 for times in old.values())
            until("the old ones go on", go_on)
            assert len(received(receiver, __name__="flood")) == 2 and len(received(receiver, __name__="new")) == 3
            up, = received(receiver, __name__="up").values()
            assert set(up.values()) == {int.from_bytes(ONE, "little")}, "the scrapes are good"
            log = open(os.path.join(folder.path, "agent.log")).read()
            assert "ceilings=\"2 series of flood, 45 series of the job\"" in log and "flood (8), new (4)" in log, log[-1500:]
            standing, = cost(port)["guard"]
            assert (standing["series"], standing["maxSeries"], standing["refusing"]) == (45, 45, 12), standing
            # Ten end: the four that are left of `new` come, those of `flood` do not.
            page.series = names("flood", 10) + names("new", 7) + names("old", 30)
            until("new ones have room", lambda: len(received(receiver, __name__="new")) == 7)
            assert len(received(receiver, __name__="flood")) == 2
            # A reload reads the file again; a bad one changes nothing.
            folder.file("guard.yml", "jobs: 5\n")
            process.send_signal(signal.SIGHUP)
            until("the reload fails", lambda: metric(port, "prometheus_config_last_reload_successful") == 0)
            folder.file("guard.yml", ceilings.replace("max_series: 2", "max_series: 5"))
            process.send_signal(signal.SIGHUP)
            until("the reload is good", lambda: metric(port, "prometheus_config_last_reload_successful") == 1)
            # Anew at once, not within the minute: a name that was not there before.
            page.series = [f'flood{{m="{n}"}}' for n in range(10)] + names("old", 30)
            until("more of them are taken", lambda: len(received(receiver, __name__="flood")) > 2)
            assert not receiver.errors, receiver.errors[:3]
