"""The port: TLS, users, limits by --web.config.file; sockets of systemd; vsock."""
import base64
import concurrent.futures
import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import sys
import tempfile

from parts import Folder, PILOTFISH, free_port, get, process, refused, until


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
