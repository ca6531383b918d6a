#!/usr/bin/env python3
"""End-to-end tests: pilotfish beside real parts, on loopback.

usage: run.py PILOTFISH [NAME ...]     without names: all tests

Each test starts what it needs, waits until it is ready, and stops it by pid. Needs Debian's `prometheus`. Tests of
a misbehaving kernel need root, and say so when they are skipped.
"""
import base64
import concurrent.futures
import contextlib
import ctypes
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
import hostile  # noqa: E402

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


# -- the web configuration file

# bcrypt of "secret".
HASH = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"


class Certificates:
    """A CA of the test's own, the server's certificate, and those of clients, made with openssl."""

    def __init__(self, folder):
        self.folder = folder
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder.path, check=True, capture_output=True)

    def make(self, name, sans):
        self.folder.file("ext", f"subjectAltName={sans}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "2", "-extfile", "ext", "-out", f"{name}.pem")

    def context(self, client=None):
        context = ssl.create_default_context(cafile=os.path.join(self.folder.path, "ca.pem"))
        if client:
            path = os.path.join(self.folder.path, client)
            context.load_cert_chain(path + ".pem", path + ".key")
        return context


def status(port, path="/", user=None, context=None):
    """The status of an answer; None when the connection is refused."""
    connection = (http.client.HTTPSConnection("localhost", port, timeout=10, context=context) if context
                  else http.client.HTTPConnection("localhost", port, timeout=10))
    headers = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def listening(folder, port, command=None, **options):
    """pilotfish with web.yml, as soon as it takes connections."""
    command = command or [PILOTFISH, f"--web.config.file={folder.path}/web.yml", f"--web.listen-address=localhost:{port}"]
    return process(command, os.path.join(folder.path, "exporter.log"), **options)


def connects(port):
    socket.create_connection(("localhost", port)).close()
    return True


def test_web_client_certificates(folder):
    """A client needs a certificate of the CA with an allowed name; curl agrees."""
    made, port = Certificates(folder), free_port()
    made.make("server", "DNS:localhost")
    for name, sans in [("good", "DNS:other,URI:spiffe://x/y"), ("byaddress", "IP:10.1.2.3,IP:fd00::1"), ("bad", "DNS:nobody")]:
        made.make(name, sans)
    stranger = Certificates(Folder(tempfile.mkdtemp(dir=folder.path)))
    stranger.make("stranger", "DNS:other")
    folder.file("web.yml", """
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_ca_file: ca.pem
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: ["spiffe://x/y", "fd00::1"]
""")
    with listening(folder, port):
        until("it listens", lambda: connects(port))
        assert status(port, context=made.context("good")) == 200
        assert status(port, context=made.context("byaddress")) == 200
        assert status(port, context=made.context("bad")) is None
        assert status(port, context=made.context()) is None
        other = made.context()
        other.load_cert_chain(f"{stranger.folder.path}/stranger.pem", f"{stranger.folder.path}/stranger.key")
        assert status(port, context=other) is None
        # A server that speaks HTTP/1.1 only, to a client that would like HTTP/2.
        offering = made.context("good")
        offering.set_alpn_protocols(["h2", "http/1.1"])
        with socket.create_connection(("localhost", port)) as raw:
            with offering.wrap_socket(raw, server_hostname="localhost") as tls:
                assert tls.selected_alpn_protocol() == "http/1.1"
        result = subprocess.run(
            ["curl", "-sS", "--cacert", "ca.pem", "--cert", "good.pem", "--key", "good.key", f"https://localhost:{port}/metrics"],
            cwd=folder.path, capture_output=True, text=True, timeout=30)
        assert "node_load1 " in result.stdout, result.stderr
        assert status(port) == 400
        # The server's certificate, renewed.
        made.make("server", "DNS:localhost,DNS:renewed")
        with socket.create_connection(("localhost", port)) as raw:
            with made.context("good").wrap_socket(raw, server_hostname="renewed") as tls:
                assert ("DNS", "renewed") in tls.getpeercert()["subjectAltName"]


def test_web_half_closed_tls(folder):
    """A TLS client that ends its side after the request still gets the whole answer."""
    made, port = Certificates(folder), free_port()
    made.make("server", "DNS:localhost")
    folder.file("web.yml", "tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
    with listening(folder, port):
        until("it listens", lambda: connects(port))
        raw = socket.create_connection(("localhost", port), timeout=10)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = made.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        tls.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        raw.sendall(outgoing.read())
        raw.shutdown(socket.SHUT_WR)
        answer = b""
        while data := raw.recv(65536):
            incoming.write(data)
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                while part := tls.read(65536):
                    answer += part
        head, body = answer.split(b"\r\n\r\n", 1)
        assert f"Content-Length: {len(body)}".encode() in head and b"node_load1 " in body, head


def test_web_users_change_while_it_runs(folder):
    """Passwords work at once, without a restart; a broken file stops all and is logged once; no secret is logged."""
    port = free_port()
    folder.file("web.yml", f"basic_auth_users: {{alice: '{HASH}'}}\n")
    with listening(folder, port):
        until("it listens", lambda: connects(port))
        assert [status(port, user=u) for u in (None, "alice:secret", "alice:hunter2", "bob:secret")] == [401, 200, 401, 401]
        folder.file("web.yml", f"basic_auth_users: {{bob: '{HASH}'}}\n")
        assert [status(port, user=u) for u in ("alice:secret", "bob:secret")] == [401, 200]
        folder.file("web.yml", "basic_auth_users: {bob: hunter2}\n")
        assert [status(port, user="bob:secret") for _ in range(3)] == [500, 500, 500]
        os.unlink(os.path.join(folder.path, "web.yml"))
        assert status(port, user="bob:secret") == 500
        folder.file("web.yml", "rate_limit: {burst: 2, interval: 10m}\n")
        assert [status(port) for _ in range(4)] == [200, 200, 429, 429]
    with open(os.path.join(folder.path, "exporter.log")) as f:
        log = f.read()
    assert log.count("Unable to parse configuration") == 2 and "web.yml:1:20: basic_auth_users.bob: " in log, log
    assert "hunter2" not in log and HASH not in log and "secret" not in log, log


def test_web_many_clients_and_handshakes(folder):
    """Clients that begin a handshake and never end it do not keep others out for long, nor make it grow."""
    made, port = Certificates(folder), free_port()
    made.make("server", "DNS:localhost")
    folder.file("web.yml", f"tls_server_config: {{cert_file: server.pem, key_file: server.key}}\nbasic_auth_users: {{alice: '{HASH}'}}\n")
    with listening(folder, port) as child:
        until("it listens", lambda: connects(port))
        idle = [socket.create_connection(("localhost", port)) for _ in range(600)]
        for each in idle:
            with contextlib.suppress(OSError):
                each.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        until("they are closed", lambda: status(port, user="alice:secret", context=made.context()) == 200, 30)
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            guesses = list(pool.map(lambda n: status(port, user=f"u{n}:x", context=made.context()), range(100)))
        assert set(guesses) == {401}, guesses
        with open(f"/proc/{child.pid}/status") as f:
            resident = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        assert resident < 100_000, resident
        for each in idle:
            each.close()


def test_web_bad_files_say_why(folder):
    """One line, with the place in the file, and status 1."""
    def fault(text):
        return refused(f"--web.config.file={folder.file('web.yml', text)}", "--web.listen-address=localhost:0")
    assert "web.yml:1:1: tls_serverconfig: unknown key, did you mean tls_server_config?" in fault("tls_serverconfig: {}\n")
    assert "web.yml:2:3: tls_server_config.nope: unknown key" in fault("tls_server_config:\n  nope: 1\n")
    assert "failed to read cert_file (" in fault("tls_server_config: {cert_file: nope, key_file: nope}\n")
    assert "no usable certificate in cert_file (" in fault("tls_server_config: {cert_file: web.yml, key_file: web.yml}\n")
    assert "unknown cipher: TLS_RSA_WITH_RC4_128_SHA" in fault("tls_server_config: {cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}\n")
    assert "open /nope: no such file or directory" in refused("--web.config.file=/nope", "--web.listen-address=localhost:0")


def test_systemd_sockets(folder):
    """Listening sockets from fd 3 on, as systemd hands them over: TCP and a socket of the file system."""
    path = os.path.join(folder.path, "socket")
    starter = ("import os, socket, sys\n"
               "t = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
               "u = socket.socket(socket.AF_UNIX); u.bind(sys.argv[2]); u.listen()\n"
               "a, b = os.dup2(t.fileno(), 20), os.dup2(u.fileno(), 21)\n"
               "os.dup2(a, 3); os.dup2(b, 4)\n"
               "os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))\n"
               "os.execv(sys.argv[3], sys.argv[3:])\n")
    port = free_port()
    with listening(folder, port, [sys.executable, "-c", starter, str(port), path, PILOTFISH, "--web.systemd-socket"]):
        assert "node_load1 " in until("an answer", lambda: get(f"http://127.0.0.1:{port}/metrics"))
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(path)
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.0 200 OK\r\n")
    with open(os.path.join(folder.path, "exporter.log")) as f:
        log = f.read()
    assert f'msg="Listening on" address={path}\n' in log and f"address=127.0.0.1:{port} http2=false" in log, log
    assert "no socket activation file descriptors found" in refused("--web.systemd-socket")


def test_vsock(folder):
    """A virtual machine's socket beside a port, where the kernel has one."""
    port, number = free_port(), free_port()
    try:
        with socket.socket(socket.AF_VSOCK) as probe, socket.socket(socket.AF_VSOCK) as client:
            probe.bind((socket.VMADDR_CID_ANY, number))
            probe.listen()
            client.settimeout(5)
            client.connect((1, number))
    except (OSError, AttributeError):
        return print("     no vsock here")
    with folder.exporter(port, f"--web.listen-address=vsock://:{number}"), socket.socket(socket.AF_VSOCK) as client:
        client.connect((1, number))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200 OK\r\n")

XFS = {"stats/stats": "extent_alloc 1 2 3 4\nrw 28 9\nvnodes 4 0 0 0 1 1 1 0\n"}
ZFS_POOL = {"state": "ONLINE\n", "io": "1 3\nnread nwritten\n18 32\n",
            "objset-0x1": "2 1\nname type data\ndataset_name 7 tank\nwrites 4 4\n"}
BCACHEFS_DEVICE = {"label": "a\n", "state": "rw\n", "nbuckets": "5\n", "io_done": "read:\nsb : 5\n"}
HOSTILE_COLLECTORS = {  # and whether they succeed
    "bcache": 1, "bcachefs": 1, "btrfs": 1, "dmmultipath": 1, "filesystem": 1, "loadavg": 1, "mdadm": 1, "meminfo": 0,
    "netdev": 1, "stat": 1, "textfile": 1, "thermal_zone": 0, "xfs": 1, "zfs": 1}


def hostile_tree(root, stuck):
    """A /proc and a /sys with a FIFO here, a way into the stuck mount there, and devices; gives those that go."""
    hostile.write_tree(root, {
        "proc/mdstat": "md0 : active raid1 sda1[0] sdb1[1]\n 9 blocks [2/2] [UU]\n\nunused devices: <none>\n",
        "proc/spl/kstat/zfs/fm": "1 2\nname type data\nerpt-dropped 4 18\n",
        "sys/fs/xfs/stays/stats/stats": XFS["stats/stats"], "sys/fs/bcachefs/a-b/btree_cache_size": "1k\n",
        "sys/fs/bcachefs/a-b/counters/fsync": "since filesystem creation: 7\n"})
    for name in ["loadavg", "stat"]:
        os.symlink(f"/proc/{name}", f"{root}/proc/{name}")
    os.mkdir(f"{root}/proc/1")
    os.symlink("/proc/self/mountinfo", f"{root}/proc/1/mountinfo")
    os.mkfifo(f"{root}/proc/meminfo")
    os.makedirs(f"{root}/sys/fs/xfs/fifo/stats")
    os.mkfifo(f"{root}/sys/fs/xfs/fifo/stats/stats")
    os.makedirs(f"{root}/sys/block")
    os.makedirs(f"{root}/sys/class")
    os.symlink(stuck, f"{root}/sys/class/thermal")
    return {
        "sys/fs/xfs/goes": XFS, "proc/spl/kstat/zfs/tank": ZFS_POOL, "sys/fs/bcachefs/a-b/dev-1": BCACHEFS_DEVICE,
        "sys/block/md0": {"md/level": "raid1\n", "md/raid_disks": "2\n", "md/degraded": "0\n"},
        "sys/block/dm-0": {"dm/uuid": "mpath-1\n", "dm/name": "a\n", "dm/suspended": "0\n", "size": "8\n"},
        "sys/fs/bcache/c-d": {"congested": "0\n", "bdev0/dirty_data": "1.5k\n", "cache0/written": "0\n"},
        "sys/fs/btrfs/e-f": {"label": "x\n", "devices/sda/size": "8\n", "allocation/data/single/used_bytes": "1\n"}}


@hostile.in_namespaces
def test_what_hangs_or_vanishes_costs_only_itself(folder):
    """1,000 scrapes within their deadline and with all the rest, while a mount is stuck, a collector hangs in the
    kernel, FIFOs stand for files, and devices and an interface come and go; threads and descriptors stay as many."""
    deadline, stuck, root = 5, f"{folder.path}/stuck", f"{folder.path}/tree"
    textfiles = f"{folder.path}/textfiles"
    os.makedirs(textfiles)
    os.mkfifo(f"{textfiles}/x.prom")
    folder.file("textfiles/good.prom", "from_file 7\n")
    port = free_port()

    def scrape():
        start = time.monotonic()
        text = get(f"http://127.0.0.1:{port}/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": str(deadline)})
        took = time.monotonic() - start
        assert took < deadline, f"an answer after {took} s"
        return text

    def check(text):
        lines = text.splitlines()
        success = {name: f'node_scrape_collector_success{{collector="{name}"}} {value}'
                   for name, value in HOSTILE_COLLECTORS.items()}
        wanted = [*success.values(), "from_file 7", "node_zfs_fm_erpt_dropped 18", 'node_md_blocks{device="md0"} 9',
                  'node_xfs_read_calls_total{device="stays"} 9', 'node_bcachefs_fsync_total{uuid="a-b"} 7',
                  'node_filesystem_device_error{device="stuck",device_error="mountpoint timeout",fstype="fuse",'
                  f'mountpoint="{stuck}"}} 1']
        missing = [line for line in wanted if line not in lines]
        assert not missing, missing
        for start in ["node_load1 ", "node_forks_total ", 'node_network_receive_bytes_total{device="lo"} ']:
            assert any(line.startswith(start) for line in lines), start

    def many(count):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for text in pool.map(lambda _: scrape(), range(count)):
                check(text)

    def counts(pid):
        return [len(os.listdir(f"/proc/{pid}/{kind}")) for kind in ("task", "fd")]

    with contextlib.ExitStack() as stack:
        # The loops come first: they would hold the mount's descriptor too.
        stack.enter_context(hostile.forever(hostile.come_and_go(root, hostile_tree(root, stuck))))
        if os.path.exists("/dev/net/tun"):
            stack.enter_context(hostile.forever(hostile.interface_comes_and_goes))
        close_mount = stack.enter_context(hostile.stuck_mount(stuck))
        exporter = stack.enter_context(folder.exporter(
            port, f"--path.procfs={root}/proc", f"--path.sysfs={root}/sys", "--collector.disable-defaults",
            "--collector.filesystem.mount-timeout=500ms", f"--collector.textfile.directory={textfiles}",
            *[f"--collector.{name}" for name in HOSTILE_COLLECTORS]))
        many(100)
        before = counts(exporter.pid)
        many(900)
        until("no more threads and descriptors than before",
              lambda: all(now <= then for now, then in zip(counts(exporter.pid), before)), 30)
        # The mount's end: whoever waited for it is back, and nothing is reported as stuck.
        close_mount()
        until("nothing is stuck", lambda: "mountpoint timeout" not in scrape())
        until("the threads are back", lambda: counts(exporter.pid)[0] < before[0], 30)
        assert exporter.poll() is None


@hostile.in_namespaces
def test_btrfs_devices(folder):
    """A mounted btrfs file system: what its devices say by ioctl."""
    if not shutil.which("mkfs.btrfs") or not os.path.exists("/dev/loop-control"):
        raise hostile.Skipped("needs btrfs-progs and loop devices")

    def run(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    images = [f"{folder.path}/{n}.img" for n in "ab"]
    for image in images:
        folder.file(os.path.basename(image))
        os.truncate(image, 200 << 20)
    run("mkfs.btrfs", "-q", "-L", "pilot", "-d", "raid1", "-m", "raid1", *images)
    loops = [run("losetup", "-f", "--show", image) for image in images]
    try:
        point, port = f"{folder.path}/mnt", free_port()
        os.mkdir(point)
        try:
            run("btrfs", "device", "scan", *loops)
            hostile.mount(loops[0], point, "btrfs")
        except (OSError, subprocess.CalledProcessError) as e:
            raise hostile.Skipped(f"no btrfs in this kernel: {e}")
        with open(f"{point}/file", "wb") as f:
            f.write(b"x" * (1 << 20))
        os.sync()
        # What is on one device is spoilt: reading all finds it, and repairs it from the other.
        with open(loops[1], "r+b", buffering=0) as device:
            data = device.read(190 << 20)
            offset = data.find(b"x" * 4096)
            device.seek(offset - offset % 4096)
            assert offset >= 0
            device.write(b"y" * 4096)
            os.fsync(device.fileno())
        run("btrfs", "scrub", "start", "-B", point)
        # Process 1 is in another mount namespace: it does not see the mount.
        os.makedirs(f"{folder.path}/proc/1")
        os.symlink("/proc/self/mountinfo", f"{folder.path}/proc/1/mountinfo")
        with folder.exporter(
                port, "--collector.disable-defaults", "--collector.btrfs", f"--path.procfs={folder.path}/proc"):
            text = get(f"http://127.0.0.1:{port}/metrics")
        for index, loop in enumerate(loops):
            device = f'device="{os.path.basename(loop)}"'
            lines = [line for line in text.splitlines() if device in line]
            assert any(line.startswith("node_btrfs_device_size_bytes{btrfs_dev_uuid=") and line.endswith(" 2.097152e+08")
                       for line in lines), lines
            errors = {line.split('type="')[1].split('"')[0]: float(line.split()[-1])
                      for line in lines if line.startswith("node_btrfs_device_errors_total")}
            assert (errors.pop("corruption") > 0) == (index == 1), lines
            assert errors == {"write": 0, "read": 0, "flush": 0, "generation": 0}, lines
    finally:
        ctypes.CDLL(None).umount2(f"{folder.path}/mnt".encode(), 0)
        for loop in loops:
            run("losetup", "-d", loop)


def main():
    names = sys.argv[2:]
    tests = [(n[5:], f) for n, f in sorted(globals().items()) if n.startswith("test_") and (not names or n[5:] in names)]
    failed = skipped = 0
    for name, test in tests:
        path = tempfile.mkdtemp(prefix="pilotfish-e2e.")
        start = time.monotonic()
        try:
            test(Folder(path))
            print(f"ok   {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except hostile.Skipped as e:
            skipped += 1
            print(f"skip {name}: {e}", flush=True)
        except Exception as e:
            failed += 1
            print(f"FAIL {name}: {type(e).__name__}: {str(e)[:2000]}", flush=True)
            for log in ("agent.log", "exporter.log"):
                with contextlib.suppress(OSError), open(os.path.join(path, log)) as f:
                    print(f.read()[-1500:])
        finally:
            shutil.rmtree(path, ignore_errors=True)
    print(f"{len(tests) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
