"""The agent as a client: TLS, credentials and proxies between it, nginx and a real Prometheus."""
import base64
import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import socketserver
import threading

from hostile import Skipped
from parts import Target, free_port, get, process, query, until
from web_tests import Certificates


def nginx(folder, servers, maps=""):
    """nginx with the test's servers; needs Debian's `nginx` (or NGINX in the environment)."""
    binary = os.environ.get("NGINX") or shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if not binary:
        raise Skipped("nginx is not installed")
    path = folder.file("nginx.conf", nginx_text(folder, servers, maps))
    return process([binary, "-p", folder.path, "-e", "stderr", "-c", path], f"{folder.path}/nginx.log")


def nginx_text(folder, servers, maps=""):
    temporary = "".join(f"  {kind}_temp_path {folder.path}/tmp-{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;\n" if os.geteuid() == 0 else ""
    return (f"{user}daemon off;\npid {folder.path}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{temporary}"
            f"  log_format seen '$uri $status $ssl_protocol $http_authorization';\n"
            f"  access_log {folder.path}/access.log seen;\n{maps}{servers}}}\n")


def server(folder, port, more):
    return (f"  server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_certificate {folder.path}/server.pem;\n"
            f"    ssl_certificate_key {folder.path}/server.key;\n{more}  }}\n")


def certificates(folder):
    made = Certificates(folder)
    made.make("server", "DNS:localhost,IP:127.0.0.1")
    made.make("client", "DNS:client")
    return made


def seen(folder):
    with open(f"{folder.path}/access.log") as f:
        return f.read().splitlines()


def active(port):
    targets = json.loads(get(f"http://127.0.0.1:{port}/api/v1/targets"))["data"]["activeTargets"]
    unknown = {"health": "unknown", "lastError": ""}
    return collections.defaultdict(lambda: unknown, {t["scrapePool"]: t for t in targets})


def agent_config(jobs, receiver, client="", scheme="http"):
    return (f"global: {{scrape_interval: 1s}}\nremote_write:\n- url: {scheme}://localhost:{receiver}/api/v1/write\n"
            f"  queue_config: {{batch_send_deadline: 300ms}}\n{client}scrape_configs:\n{jobs}")


def test_scrapes_and_writes_by_tls(folder):
    """nginx asks scrapes for a certificate and a password, remote write for a token that rotates."""
    certificates(folder)
    receiver, scrape, write, port = free_port(), free_port(), free_port(), free_port()
    folder.file("users", "scraper:{PLAIN}Walfisch7\n")
    folder.file("password", "Walfisch7\n")
    token = folder.file("token", "first")
    job = (f"- job_name: {{}}\n  scheme: https\n  basic_auth: {{{{username: scraper, password_file: {{}}}}}}\n"
           f"  tls_config: {{{{ca_file: ca.pem, cert_file: {{}}.pem, key_file: {{}}.key}}}}\n"
           f"  static_configs: [{{{{targets: ['localhost:{scrape}']}}}}]\n")
    text = agent_config(
        job.format("good", "password", "client", "client") + job.format("nobody", "ca.pem", "client", "client"),
        write, "  bearer_token_file: token\n  tls_config: {ca_file: ca.pem}\n", "https")

    def servers(secret):
        return (server(folder, scrape, f"    ssl_client_certificate {folder.path}/ca.pem;\n    ssl_verify_client on;\n"
                       f"    auth_basic pilotfish;\n    auth_basic_user_file {folder.path}/users;\n"
                       f"    location / {{ proxy_pass http://127.0.0.1:{target.port}; }}\n")
                + server(folder, write, f"    if ($http_authorization != 'Bearer {secret}') {{ return 401; }}\n"
                         f"    client_max_body_size 8m;\n"
                         f"    location / {{ proxy_pass http://127.0.0.1:{receiver}; }}\n"))

    with Target() as target, folder.prometheus(receiver), nginx(folder, servers("first")) as web, \
            folder.agent(port, text):
        until("ticks arrive by TLS", lambda: query(receiver, "ticks"))
        targets = active(port)
        assert targets["good"]["health"] == "up", targets
        until("a wrong password is refused", lambda: "401" in active(port)["nobody"]["lastError"])
        # The token changes on both sides; what was refused meanwhile is sent again.
        folder.file("nginx.conf", nginx_text(folder, servers("second")))
        web.send_signal(signal.SIGHUP)
        until("the old token is refused", lambda: any(" 401 " in line and "first" in line for line in seen(folder)))
        with open(token + ".new", "w") as f:
            f.write("second\n")
        os.rename(token + ".new", token)
        until("the new token is used", lambda: any(
            line.startswith("/api/v1/write 2") and line.endswith("Bearer second") for line in seen(folder)))
        before = target.count
        until("samples arrive again", lambda: float(query(receiver, "ticks")[0]["value"][1]) > before)
        values = [float(v) for _, v in query(receiver, "ticks[10m]")[0]["values"]]
        assert values == [float(n) for n in range(1, len(values) + 1)], values
        assert all("TLSv1.3" in line for line in seen(folder))
        pages = get(f"http://127.0.0.1:{port}/metrics") + get(f"http://127.0.0.1:{port}/api/v1/targets")
        with open(f"{folder.path}/agent.log") as f:
            pages += f.read()
        for secret in ("Walfisch7", "Bearer", base64.b64encode(b"scraper:Walfisch7").decode()):
            assert secret not in pages, secret


def test_tls_faults_are_told(folder):
    """What is wrong with a server's certificate, in the words of Prometheus, in lastError."""
    made = certificates(folder)
    made.make("wrong", "DNS:elsewhere")
    one, two, port, receiver = free_port(), free_port(), free_port(), free_port()
    job = ("- job_name: {}\n  scheme: https\n  tls_config: {}\n  static_configs: [{{targets: ['localhost:{}']}}]\n")
    text = agent_config(
        job.format("unknown", "{}", one) + job.format("wrong", "{ca_file: ca.pem}", two)
        + job.format("skipped", "{insecure_skip_verify: true}", two) + job.format("missing", "{ca_file: nowhere}", one),
        receiver)
    more = "    location / { return 200 ''; }\n"
    servers = server(folder, one, more) + server(folder, two, more).replace("server.pem", "wrong.pem").replace(
        "server.key", "wrong.key")
    with nginx(folder, servers), folder.agent(port, text):
        errors = until("all are scraped", lambda: (
            lambda all: all if len(all) == 4 and all["skipped"]["health"] == "up"
            and all["unknown"]["lastError"] and all["wrong"]["lastError"] and all["missing"]["lastError"] else None)(
                active(port)))
        told = {name: target["lastError"] for name, target in errors.items()}
        assert told["unknown"].endswith("x509: certificate signed by unknown authority"), told
        assert told["wrong"].endswith("x509: certificate is valid for elsewhere, not localhost"), told
        assert f"ca_file ({folder.path}/nowhere)" in told["missing"], told


class Tunnels(socketserver.ThreadingTCPServer):
    """A proxy that knows CONNECT only, and one user."""
    allow_reuse_address = daemon_threads = True

    def __init__(self):
        self.heads = []
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            lines = []
            while (line := self.rfile.readline().strip().decode()):
                lines.append(line)
            self.server.heads.append(lines)
            if "Proxy-Authorization: Basic dXNlcjpwYXNz" not in lines:
                return self.request.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            host, port = lines[0].split()[1].rsplit(":", 1)
            with socket.create_connection((host, int(port))) as there:
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=self.copy, args=(there, self.request), daemon=True)
                back.start()
                self.copy(self.request, there)
                back.join()

        @staticmethod
        def copy(source, sink):
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)


def test_scrapes_through_a_proxy(folder):
    """CONNECT with a user and headers; no_proxy; a reload with another password."""
    certificates(folder)
    secure, port, receiver = free_port(), free_port(), free_port()
    proxy = Tunnels()
    job = ("- job_name: {}\n  scheme: https\n  tls_config: {{ca_file: ca.pem}}\n"
           "  proxy_url: http://user:{}@127.0.0.1:{}\n  proxy_connect_header: {{X-Asked-By: [agent]}}\n{}"
           "  static_configs: [{{targets: ['localhost:{}']}}]\n")

    def text(password):
        return agent_config(
            job.format("through", password, proxy.server_address[1], "", secure)
            + job.format("around", "none", 1, "  no_proxy: localhost\n", secure), receiver)

    with nginx(folder, server(folder, secure, "    location / { return 200 ''; }\n")), \
            folder.agent(port, text("wrong")) as agent:
        until("the proxy refuses", lambda: "Proxy Authentication Required" in active(port)["through"]["lastError"])
        until("no_proxy goes around it", lambda: active(port)["around"]["health"] == "up")
        folder.file("agent.yml", text("pass"))
        agent.send_signal(signal.SIGHUP)
        until("the proxy lets through", lambda: active(port)["through"]["health"] == "up")
        assert f"CONNECT localhost:{secure} HTTP/1.1" == proxy.heads[-1][0] and "X-Asked-By: agent" in proxy.heads[-1]
        with open(f"{folder.path}/agent.log") as f:
            assert "wrong@" not in f.read()
    proxy.shutdown()
    proxy.server_close()
