"""Discovery beside real parts: a name server, a server of target groups, files; and the pages that show it."""
import contextlib
import http.server
import json
import os
import subprocess
import urllib.error
import urllib.parse

import hostile
from parts import Target, free_port, get, process, until
from serving import Serving


@contextlib.contextmanager
def name_server(folder, *records):
    """dnsmasq on port 53 of the test's own network namespace, and a resolv.conf that names it."""
    def serve(*records):
        return process(
            ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--user=root",
             "--pid-file=", "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/example/", *records],
            os.path.join(folder.path, "dnsmasq.log"))
    path = folder.file("resolv.conf", "nameserver 127.0.0.1\nsearch example\noptions timeout:1\n")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", path, os.path.realpath("/etc/resolv.conf")], check=True)
    yield serve


def api(port, path="/api/v1/targets"):
    return json.loads(get(f"http://127.0.0.1:{port}{path}"))["data"]


def addresses(port, job):
    return sorted(t["discoveredLabels"]["__address__"] for t in api(port)["activeTargets"] if t["scrapePool"] == job)


def metric(port, name):
    return [line.rsplit(" ", 1)[1] for line in get(f"http://127.0.0.1:{port}/metrics").splitlines()
            if line.startswith(name)]


@hostile.in_namespaces
def test_dns(folder):
    """A, AAAA, SRV, MX and NS records by a real name server; the search list, answers that need TCP; records that
    change; a name server that is gone takes no target away."""
    port = free_port()
    jobs = {
        "a": "{names: [web], type: A, port: 9100, refresh_interval: 1s}",
        "aaaa": "{names: [web.example], type: AAAA, port: 9100, refresh_interval: 1s}",
        "srv": "{names: [_http._tcp.example], refresh_interval: 1s}",
        "mx": "{names: [example.], type: MX, port: 25, refresh_interval: 1s}",
        "many": "{names: [many.example], type: a, port: 1, refresh_interval: 1s}",
        "none": "{names: [not-there.example], type: a, port: 1, refresh_interval: 1s}",
    }
    text = "global: {scrape_interval: 10s}\nscrape_configs:\n" + "".join(
        f"- job_name: {job}\n  dns_sd_configs: [{entry}]\n" for job, entry in jobs.items())
    many = [f"--host-record=many.example,10.1.{n // 200}.{n % 200 + 1}" for n in range(600)]
    records = ["--host-record=web.example,127.0.0.1,::1", "--srv-host=_http._tcp.example,t.example,9100,1",
               "--srv-host=_http._tcp.example,u.example,9101,1", "--mx-host=example,mail.example", *many]
    with name_server(folder) as serve:
        with serve(*records), folder.agent(port, text):
            until("A", lambda: addresses(port, "a") == ["127.0.0.1:9100"])
            until("AAAA", lambda: addresses(port, "aaaa") == ["[::1]:9100"])
            until("SRV", lambda: addresses(port, "srv") == ["t.example:9100", "u.example:9101"])
            until("MX", lambda: addresses(port, "mx") == ["mail.example:25"])
            until("many", lambda: len(addresses(port, "many")) == 600)
            labels = next(t for t in api(port)["activeTargets"] if t["scrapePool"] == "srv")["discoveredLabels"]
            assert labels["__meta_dns_name"] == "_http._tcp.example", labels
            assert labels["__meta_dns_srv_record_target"] == "t.example.", labels
            assert labels["__meta_dns_srv_record_port"] == "9100", labels
            assert addresses(port, "none") == [] and metric(port, "prometheus_sd_dns_lookup_failures_total") == ["0"]
        with folder.agent(port, text):
            with serve("--host-record=web.example,127.0.0.2"):
                until("other records", lambda: addresses(port, "a") == ["127.0.0.2:9100"])
            until("failures", lambda: float(metric(port, "prometheus_sd_dns_lookup_failures_total")[0]) > 5)
            assert addresses(port, "a") == ["127.0.0.2:9100"]
            failures = metric(port, 'prometheus_sd_refresh_failures_total{config="a",mechanism="dns"}')
            assert float(failures[0]) > 0, failures


class Groups(Serving):
    """A server of target groups (http_sd)."""

    def __init__(self):
        groups, self.body, self.status, self.requests = self, "[]", 200, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                groups.requests.append(dict(self.headers))
                self.send_response(groups.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(groups.body)))
                self.end_headers()
                self.wfile.write(groups.body.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/sd"


def test_http_sd(folder):
    """Groups by HTTP come, change and go; a server that fails takes none away, and what a reload leaves as it is
    goes on."""
    port = free_port()
    with Groups() as groups, Target() as target:
        groups.body = json.dumps([{"targets": [f"127.0.0.1:{target.port}"], "labels": {"zone": "z"}}])
        text = ("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: h\n  http_sd_configs: [{url: '"
                + groups.url + "', refresh_interval: 1s}]\n")
        with folder.agent(port, text, "--web.enable-lifecycle"):
            until("a target is up", lambda: [t["health"] for t in api(port)["activeTargets"]] == ["up"])
            shown = api(port)["activeTargets"][0]
            assert shown["labels"] == {"instance": f"127.0.0.1:{target.port}", "job": "h", "zone": "z"}, shown
            assert shown["discoveredLabels"]["__meta_url"] == groups.url, shown
            assert groups.requests[0]["X-Prometheus-Refresh-Interval-Seconds"] == "1", groups.requests[0]
            groups.status = 503
            until("failures", lambda: float(metric(port, "prometheus_sd_http_failures_total")[0]) > 1)
            assert len(api(port)["activeTargets"]) == 1
            groups.body, groups.status = "[]", 200
            until("no target", lambda: api(port)["activeTargets"] == [])


def test_files_are_seen_at_once(folder):
    """Ten thousand targets in a file that changes again and again; memory stays."""
    port = free_port()
    os.mkdir(f"{folder.path}/sd")

    def write(number):
        groups = [{"targets": [f"127.0.0.1:{1 + n}" for n in range(10_000)] + [f"127.0.1.1:{1 + number}"]}]
        with open(f"{folder.path}/sd/new", "w") as f:
            json.dump(groups, f)
        os.rename(f"{folder.path}/sd/new", f"{folder.path}/sd/t.json")

    def resident():
        with open(f"/proc/{agent.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1])

    text = ("global: {scrape_interval: 1h}\nscrape_configs:\n- job_name: f\n  file_sd_configs: "
            "[{files: [sd/*.json], refresh_interval: 1h}]\n")
    write(0)
    with folder.agent(port, text) as agent:
        def shows(number):
            return f'127.0.1.1:{1 + number}"' in get(
                f"http://127.0.0.1:{port}/service-discovery?search=127.0.1.1:{1 + number}").replace("&quot;", '"')
        until("all targets", lambda: metric(port, "prometheus_sd_discovered_targets") == ["10001"])
        for number in range(1, 6):
            write(number)
            until("a change", lambda: shows(number))
        before = resident()
        for number in range(6, 26):
            write(number)
            until("a change", lambda: shows(number))
        assert resident() < before * 1.2 + 8192, (before, resident())
        assert metric(port, "prometheus_sd_file_read_errors_total") == ["0"]


def test_pages(folder):
    """What is hostile in labels stays text; dropped targets name the rule; the API answers as Prometheus does."""
    port = free_port()
    text = """
global: {scrape_interval: 1s}
scrape_configs:
- job_name: '<b>j</b>'
  static_configs:
  - {targets: ['127.0.0.1:1', 'gone:2', 'gone:3'], labels: {x: '"><script>alert(1)</script>'}}
  relabel_configs:
  - {target_label: y, replacement: z}
  - {action: drop, source_labels: [__address__], regex: 'gone:.*'}
- job_name: k
  static_configs: [{targets: ['a:1']}]
  relabel_configs: [{action: keep, source_labels: [no], regex: such}]
  keep_dropped_targets: 1
"""
    with folder.agent(port, text):
        until("a scrape", lambda: [t["health"] for t in api(port)["activeTargets"]] == ["down"])
        for page in ["/targets", "/service-discovery", "/targets?search=%22%3E%3Cscript%3E", "/targets?health=up"]:
            html = get(f"http://127.0.0.1:{port}{page}")
            assert "<script" not in html and "<b>" not in html, html
        html = get(f"http://127.0.0.1:{port}/service-discovery")
        assert "(1 of 3 active)" in html and "dropped by relabel_configs[1]" in html, html
        assert "drop, source_labels: [__address__], regex: gone:.*" in html, html
        assert "connection refused" in get(f"http://127.0.0.1:{port}/targets?health=down")
        assert "connection refused" not in get(f"http://127.0.0.1:{port}/targets?health=up")
        assert "gone:2" not in get(f"http://127.0.0.1:{port}/service-discovery?health=active")
        for page in ["/targets", "/service-discovery"]:
            assert f'href="{page}"' in get(f"http://127.0.0.1:{port}/")
        data = api(port)
        assert data["droppedTargetCounts"] == {"<b>j</b>": 2, "k": 1}, data
        assert [t["scrapePool"] for t in data["droppedTargets"]] == ["<b>j</b>", "<b>j</b>", "k"], data
        assert api(port, "/api/v1/scrape_pools") == {"scrapePools": ["<b>j</b>", "k"]}
        query = urllib.parse.urlencode(
            {"scrapePool": "<b>j</b>", "labels": json.dumps({"__address__": "gone:9", "x": "y"})})
        steps = api(port, "/api/v1/targets/relabel_steps?" + query)["steps"]
        assert [s["keep"] for s in steps] == [True, False], steps
        assert steps[0]["output"] == {"__address__": "gone:9", "x": "y", "y": "z"} and steps[1]["output"] == {}, steps
        assert steps[1]["rule"]["source_labels"] == ["__address__"], steps
        try:
            get(f"http://127.0.0.1:{port}/api/v1/targets/relabel_steps?scrapePool=none&labels=%7B%7D")
            raise AssertionError("no error")
        except urllib.error.HTTPError as e:
            assert e.code == 400 and json.load(e)["errorType"] == "bad_data"
