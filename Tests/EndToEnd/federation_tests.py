"""Federation: pilotfish takes from a real Prometheus, and a real Prometheus takes from pilotfish."""
import contextlib
import gzip
import http.server
import os
import re
import subprocess
import urllib.error
import urllib.parse

import parts
from parts import free_port, get, until
from serving import Serving

PROMETHEUS = os.environ.get("PROMETHEUS", "prometheus")


class Page(Serving):
    """A target that answers `body`, at a rate if wanted."""

    def __init__(self, body, pace=None, content_type="text/plain; version=0.0.4", packed=False):
        page, self.body, self.requests, self.pace, self.type = self, body, 0, pace, content_type
        self.packed = packed

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                page.requests += 1
                body = page.body() if callable(page.body) else page.body
                self.send_response(200)
                self.send_header("Content-Type", page.type)
                if page.packed:
                    body = gzip.compress(body, 1)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for start in range(0, len(body), page.pace or 65536):
                        piece = body[start:start + (page.pace or 65536)]
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                        if page.pace:
                            self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


def federate(port, *selectors, headers={}):
    query = urllib.parse.urlencode([("match[]", selector) for selector in selectors])
    return get(f"http://127.0.0.1:{port}/federate?{query}", headers=headers)


def prometheus(folder, port, text, name):
    config = folder.file(f"{name}.yml", text)
    return parts.process(
        [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder.path}/{name}",
         f"--web.listen-address=127.0.0.1:{port}"],
        os.path.join(folder.path, f"{name}.log"), f"http://127.0.0.1:{port}/-/ready")


def series(page):
    """The lines of an exposition without their numbers."""
    return sorted(line.rsplit("} ", 1)[0] for line in page.splitlines() if not line.startswith("#"))


def reads_utf8():
    """Whether the Prometheus here is one of version 3, which reads names of any UTF-8."""
    version = subprocess.run([PROMETHEUS, "--version"], capture_output=True, text=True)
    return int(re.search(r"version (\d+)", version.stdout + version.stderr)[1]) >= 3


UTF8 = b'{"utf 8","la bel"="v"} 5\n'
BODY = (b'# TYPE a counter\na{x="1"} 1\na{x="2",job="own"} 2\n# TYPE b gauge\nb{instance="mine"} NaN\n'
        b'b{text="q\\"\\\\\\n"} 3\nold 4 1000\nc{cluster="own"} 6\n')


def job(name, port, more=""):
    return f"- job_name: {name}\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n{more}"


def test_federation_shows_what_prometheus_shows(folder):
    """Both scrape one target, and answer selectors alike, byte for byte but for times."""
    utf8 = reads_utf8()
    with Page(BODY + (UTF8 if utf8 else b"")) as page:
        text = ("global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {cluster: c, zone: z}}\n"
                f"scrape_configs:\n{job('t', page.port)}")
        own, real = free_port(), free_port()
        with folder.agent(own, text, "--web.enable-federation"), prometheus(folder, real, text, "real"):
            for port in (own, real):
                until("there are samples", lambda: "b{" in federate(port, '{job="t"}'))
            until("all has been scraped", lambda: "up{" in federate(own, "up") and "up{" in federate(real, "up"))

            def plain(page):
                page = re.sub(r" \d{13}$", " TIME", page, flags=re.M)
                return re.sub(r"(scrape_duration_seconds\S+) \S+", r"\1 N", re.sub(r"(series_added\S+) \S+", r"\1 N", page))

            for selectors in ([r'{__name__=~".+"}'], ["a"], ["a", "up", "a"], ['b{text!=""}'], ['{x=~"1|2"}'], ["{}"],
                              ['{cluster="c"}'], ['{cluster="own"}'], ['{"utf 8"}'] if utf8 else ["c"], ['{instance="mine"}'], ["none"], []):
                for accept in ("*/*", "text/plain;version=1.0.0;escaping=allow-utf-8"):
                    answers = [plain(federate(port, *selectors, headers={"Accept": accept})) for port in (own, real)]
                    # Within a family the order is not Prometheus' promise.
                    ours, theirs = ([sorted(block.splitlines()) for block in answer.split("# TYPE ")] for answer in answers)
                    assert ours == theirs, (selectors, answers)
            for bad in ("a{", "a[5m]", '{a=="b"}', ""):
                errors = []
                for port in (own, real):
                    try:
                        federate(port, bad)
                    except urllib.error.HTTPError as error:
                        errors.append((error.code, error.read()))
                # The words are those of version 3.
                assert len(errors) == 2 and (errors[0] if utf8 else errors[0][:1]) == errors[1][:None if utf8 else 1], errors


def test_federation_both_ways(folder):
    """A Prometheus federates from the agent, the agent from that Prometheus, and its receiver has it all."""
    utf8 = reads_utf8()
    with Page(BODY + (UTF8 if utf8 else b"")) as page:
        first, middle, second, receiver = (free_port() for _ in range(4))
        head = "global: {scrape_interval: 1s, scrape_timeout: 1s%s}\nscrape_configs:\n"
        more = "  honor_labels: true\n  metrics_path: /federate\n  params: {'match[]': ['{__name__=~\".+\"}']}\n"
        agent = parts.Folder(os.path.join(folder.path, "first"))
        os.mkdir(agent.path)
        write = f"remote_write:\n- url: http://127.0.0.1:{receiver}/api/v1/write\n  queue_config: {{batch_send_deadline: 300ms}}\n"
        with folder.prometheus(receiver), \
                agent.agent(first, head % "" + job("t", page.port), "--web.enable-federation"), \
                prometheus(folder, middle, head % "" + job("f", first, more), "middle"), \
                folder.agent(second, head % "" + job("g", middle, more) + write):
            found = until("the sample has gone all the way", lambda: parts.query(receiver, 'a{x="1"}'))
            assert found[0]["metric"] == {"__name__": "a", "x": "1", "job": "t", "instance": f"127.0.0.1:{page.port}"}, found
            assert parts.query(receiver, 'b{text="q\\"\\\\\\n"}')[0]["value"][1] == "3"
            assert not utf8 or parts.query(receiver, '{"utf 8"}')[0]["metric"]["la bel"] == "v"
            health = get(f"http://127.0.0.1:{second}/api/v1/targets")
            assert '"health":"up"' in health, health


def test_federation_is_off_without_its_flag(folder):
    port = free_port()
    with folder.agent(port, "scrape_configs: []\n"):
        try:
            federate(port, "up")
            raise AssertionError("federation answered")
        except urllib.error.HTTPError as error:
            assert error.code == 403 and b"--web.enable-federation" in error.read()


def test_a_large_body_takes_little_memory(folder):
    """A body of 20 MB, twice over: memory does not grow by it; and half of one is not kept."""
    lines = (b'federated_metric_%d{instance="host-%d.example.net:9100",job="node",number="%d",padding="%s"} 1\n'
             % (n % 50, n % 100, n % 20000, b"x" * 900 if n % 20000 == 7 else b"y") for n in range(200_000))
    body = b"".join(lines)
    state = {"body": body}
    with Page(lambda: state["body"], packed=True) as page:
        port = free_port()
        text = f"global: {{scrape_interval: 20s, scrape_timeout: 20s}}\nscrape_configs:\n{job('t', page.port)}"
        with folder.agent(port, text) as agent:
            def samples():
                answer = get(f"http://127.0.0.1:{port}/api/v1/targets")
                return '"health":"up"' in answer
            until("the body is scraped", samples, 120)
            peak = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{agent.pid}/status").read())[1])
            assert peak < 120_000, f"{peak} KiB"
            state["body"] = body[:1_000_000] + b"\nbad line\n"
            until("a body with a bad line is down", lambda: '"health":"down"' in get(f"http://127.0.0.1:{port}/api/v1/targets"), 60)
