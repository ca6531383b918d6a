"""AWS: requests that are signed, beside a workspace that checks every signature; credentials that expire and change."""
import contextlib
import datetime
import hashlib
import hmac
import http.server
import json
import os
import random
import subprocess
import threading
import time
import urllib.parse

from hostile import Skipped
from parts import PILOTFISH, free_port, get, process, until
from remote import Ledger, Targets, uncompress

WORKSPACE = "ws-11111111-2222-3333-4444-555555555555"
PATH = f"/workspaces/{WORKSPACE}/api/v1/remote_write"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
STRANGE = "-._~/ +%&=?:@é\"'()[]"


def hash_of(data):
    return hashlib.sha256(data).hexdigest()


def code(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def is_signed(method, path, headers, body, keys, service, now):
    """Whether a request is signed as AWS wants it: None, or what is wrong."""
    try:
        algorithm, rest = headers["Authorization"].split(" ", 1)
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        key, day, region, signed_service, end = fields["Credential"].split("/")
    except (AttributeError, KeyError, TypeError, ValueError):
        return "Missing Authentication Token"
    known = keys.get(key)
    if known is None or known["expires"] <= now or known.get("token") != headers["X-Amz-Security-Token"]:
        return "The security token included in the request is expired"
    date = headers["X-Amz-Date"]
    time_of = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
    if abs(time_of - now) > 300:
        return f"Signature not yet current or expired: {date}"
    names = fields["SignedHeaders"].split(";")
    missing = {"host", "x-amz-date"} - set(names)
    if algorithm != "AWS4-HMAC-SHA256" or end != "aws4_request" or day != date[:8] or signed_service != service or missing:
        return "not a signature"
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    path, _, query = path.partition("?")
    query = "&".join(sorted(query.split("&")))
    canonical = "\n".join([method, urllib.parse.quote(path, safe="/-_.~"), query, lines, ";".join(names), hash_of(body)])
    text = "\n".join([algorithm, date, f"{day}/{region}/{service}/{end}", hash_of(canonical.encode())])
    signing = ("AWS4" + known["secret"]).encode()
    for part in (day, region, service, end):
        signing = code(signing, part)
    return None if code(signing, text).hex() == fields["Signature"] else "The request signature we calculated does not match"


class Server:
    """Answers by `handle(method, path, headers, body)`, which gives status, body and headers."""

    def __init__(self, handle):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, text = handle(self.command, self.path, self.headers, body)
                text = text.encode()
                self.send_response_only(status)
                self.send_header("Date", datetime.datetime.fromtimestamp(
                    time.time() + server.offset, datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT"))
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass

        server, self.offset = self, 0
        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


class Workspace(Server):
    """Takes what is signed by a key that is good; `rejected` has what was not, by reason."""

    def __init__(self):
        super().__init__(self.take)
        self.ledger, self.lock = Ledger(), threading.Lock()
        self.keys = {KEY: {"secret": SECRET, "expires": float("inf")}}
        self.accepted, self.rejected = 0, []

    def take(self, method, path, headers, body):
        reason = is_signed(method, path, headers, body, self.keys, "aps", time.time() + self.offset)
        with self.lock:
            if path != PATH or headers["X-Scope-OrgID"]:
                reason = "Workspace not found"
            if reason:
                self.rejected.append(reason)
                return 403, json.dumps({"message": reason})
            self.ledger.take1(uncompress(body))
            self.accepted += 1
            return 200, ""

    def vend(self, lifetime):
        """New temporary credentials."""
        serial = len(self.keys)
        expires = int(time.time()) + lifetime
        key = f"ASIA{serial:08}"
        self.keys[key] = {"secret": f"secret{serial}", "token": f"token/{serial}+=", "expires": expires}
        iso = datetime.datetime.fromtimestamp(expires, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return key, f"secret{serial}", f"token/{serial}+=", iso


@contextlib.contextmanager
def agent(folder, workspace, targets, sigv4, environment, more=""):
    """The agent, with nothing of AWS in its environment but this; gives its port. `more`: keys of the remote_write."""
    port = free_port()
    listed = ", ".join(f"'{target}'" for target in targets.instances)
    path = folder.file("agent.yml", f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
- job_name: t
  static_configs: [{{targets: [{listed}]}}]
remote_write:
- url: {workspace.url}/workspaces/{WORKSPACE}
  sigv4: {sigv4}
  queue_config: {{batch_send_deadline: 300ms}}
  {more}
""")
    own = [f"{name}={value}" for name, value in environment.items()]
    others = [f"-u{name}" for name in os.environ if name.startswith("AWS_")]
    command = ["env", *others, f"HOME={folder.path}", *own, PILOTFISH, "agent", f"--config.file={path}",
               f"--storage.agent.path={folder.path}/log", f"--web.listen-address=127.0.0.1:{port}"]
    with process(command, os.path.join(folder.path, "agent.log"), f"http://127.0.0.1:{port}/-/ready"):
        yield port


def document(credentials):
    key, secret, token, expires = credentials
    return json.dumps({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                       "Expiration": expires})


def metadata(vend):
    """An instance's metadata of version 2; `vend` gives credentials, or None while there are none."""
    def handle(method, path, headers, body):
        credentials = vend()
        if credentials is None:
            return 500, ""
        if method == "PUT" and path == "/latest/api/token":
            return (200, "TOKEN==") if headers["X-aws-ec2-metadata-token-ttl-seconds"] else (400, "")
        if headers["X-aws-ec2-metadata-token"] != "TOKEN==":
            return 401, "<html>"
        pages = {"/latest/meta-data/iam/security-credentials/": lambda: "role",
                 "/latest/meta-data/iam/security-credentials/role": lambda: document(credentials),
                 "/latest/meta-data/placement/region": lambda: "us-east-1"}
        return (200, pages[path]()) if path in pages else (404, "<html>")
    return Server(handle)


def scrapes(workspace, targets, more):
    """Waits until so many more scrapes have been made, and as many have arrived."""
    start = targets.total
    until("scrapes", lambda: targets.total >= start + more)
    end = targets.total
    until("they arrive", lambda: all(series.number >= end for series in workspace.ledger.series.values() if series.target))


def nothing_is_lost(workspace, targets):
    """But for a scrape that was on its way when the agent was ended."""
    missing, _ = workspace.ledger.missing(targets, 0.5)
    missing = {scrape: count for scrape, count in missing.items() if scrape[1] < targets.count(scrape[0])}
    assert not missing, dict(list(missing.items())[:5])
    assert workspace.accepted > 0


def test_aws_keys_of_the_environment(folder):
    """Static keys: every request is taken; a wrong secret holds the samples and loses none."""
    with Workspace() as workspace, Targets() as targets:
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        with agent(folder, workspace, targets, "{region: us-east-1}", keys):
            scrapes(workspace, targets, 5)
            assert not workspace.rejected, workspace.rejected
            workspace.keys[KEY]["secret"] = "another"
            until("a request is refused", lambda: workspace.rejected)
            workspace.keys[KEY]["secret"] = SECRET
            scrapes(workspace, targets, 3)
        nothing_is_lost(workspace, targets)


def test_aws_credentials_of_the_instance(folder):
    """Credentials of a few seconds; the metadata fails for three lifetimes; then they come again."""
    state = {"works": True}
    with Workspace() as workspace, Targets() as targets:
        with metadata(lambda: workspace.vend(4) if state["works"] else None) as instance:
            variables = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.url}
            with agent(folder, workspace, targets, "{}", variables) as port:
                scrapes(workspace, targets, 20)
                state["works"] = False
                start, end = targets.total, time.time() + 12
                until("three lifetimes", lambda: time.time() > end)
                assert targets.total > start + 15
                state["works"] = True
                scrapes(workspace, targets, 10)
                text = get(f"http://127.0.0.1:{port}/metrics")
                assert 'pilotfish_aws_credentials_expiry_timestamp_seconds{source="instance role role"}' in text
        nothing_is_lost(workspace, targets)
        assert not workspace.rejected, workspace.rejected[:3]


def test_aws_credentials_come_late(folder):
    """No credentials at the start: the agent scrapes, says why, and sends when they come."""
    state = {"works": False}
    with Workspace() as workspace, Targets() as targets:
        with metadata(lambda: workspace.vend(600) if state["works"] else None) as instance:
            variables = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.url}
            with agent(folder, workspace, targets, "{}", variables):
                until("scrapes", lambda: targets.total >= 8)
                with open(os.path.join(folder.path, "agent.log")) as log:
                    text = log.read()
                for part in ("environment: AWS_ACCESS_KEY_ID is not set", "instance metadata: IMDSv2 token: status 500"):
                    assert part in text, text
                state["works"] = True
                scrapes(workspace, targets, 5)
        nothing_is_lost(workspace, targets)


def test_aws_refused_credentials_are_replaced(folder):
    """A key that AWS takes back before its time: the 403 makes the agent ask for another."""
    with Workspace() as workspace, Targets() as targets, metadata(lambda: workspace.vend(3600)) as instance:
        with agent(folder, workspace, targets, "{}", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.url}):
            scrapes(workspace, targets, 8)
            for key in workspace.keys.values():
                key["expires"] = 0
            scrapes(workspace, targets, 5)
            assert workspace.rejected
        nothing_is_lost(workspace, targets)


def test_aws_web_identity(folder):
    """STS takes only the token that the file holds now, and its credentials live for seconds."""
    tokens = ["token0"]

    def sts(method, path, headers, body):
        form = urllib.parse.parse_qs(body.decode())
        if form["Action"] != ["AssumeRoleWithWebIdentity"] or headers["Authorization"]:
            return 400, ""
        if form["WebIdentityToken"] != [tokens[-1]]:
            return 400, ("<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>Token expired</Message>"
                         "</Error></ErrorResponse>")
        key, secret, token, expires = workspace.vend(4)
        name = "AssumeRoleWithWebIdentity"
        return 200, (f"<{name}Response><{name}Result><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>"
                     f"{secret}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration>"
                     f"</Credentials></{name}Result></{name}Response>")

    with Workspace() as workspace, Targets() as targets, Server(sts) as service:
        token = folder.file("token", tokens[0])
        variables = {"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/w",
                     "AWS_ENDPOINT_URL_STS": service.url, "AWS_REGION": "us-east-1"}
        with agent(folder, workspace, targets, "{}", variables):
            for round in range(1, 4):
                scrapes(workspace, targets, 8)
                tokens.append(folder.file("token", f"token{round}") and f"token{round}")
            scrapes(workspace, targets, 8)
        nothing_is_lost(workspace, targets)


def test_aws_a_wrong_clock(folder):
    """The workspace's clock is an hour ahead: requests are signed with its time."""
    with Workspace() as workspace, Targets() as targets:
        workspace.offset = 3600
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        with agent(folder, workspace, targets, "{region: us-east-1}", keys) as port:
            scrapes(workspace, targets, 5)
            skew = [line for line in get(f"http://127.0.0.1:{port}/metrics").splitlines()
                    if line.startswith("pilotfish_aws_clock_skew_seconds ")]
            assert 3590 < float(skew[0].split()[1]) < 3610, skew
        assert workspace.rejected
        nothing_is_lost(workspace, targets)


def test_aws_signatures_are_those_of_botocore(folder):
    """A thousand random requests, signed by both."""
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
    except ImportError:
        raise Skipped("needs botocore")
    tool = os.path.join(os.path.dirname(PILOTFISH), "Fuzz")
    if not os.path.exists(tool):
        raise Skipped("needs the program Fuzz beside pilotfish")

    class GivenTime(SigV4Auth):
        def _modify_request_before_signing(self, request):
            request.headers["X-Amz-Date"] = request.context["timestamp"]

    rng = random.Random(1)

    def word(alphabet="abcXYZ019" + STRANGE, most=12):
        return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, most)))

    lines, expected = [], []
    for _ in range(1000):
        quoted = lambda text: urllib.parse.quote(text, safe="-_.~")
        path = "/" + "/".join(quoted(word()) for _ in range(rng.randint(0, 4)))
        query = "&".join(f"{quoted(word())}={quoted(word())}" for _ in range(rng.randint(0, 4)))
        body = rng.randbytes(rng.randint(0, 200))
        when = datetime.datetime.fromtimestamp(rng.randint(10**9, 2 * 10**9), datetime.timezone.utc)
        timestamp = when.strftime("%Y%m%dT%H%M%SZ")
        token = word("abc/+=", 80) if rng.random() < 0.5 else None
        secret, region, service = word(), word("abc-1"), word("abc")
        headers = [["Host", "example.amazonaws.com"], ["X-Amz-Date", timestamp]]
        headers += [[f"X-Some-{n}", f" {word('ab c', 20)}  {word()}"] for n in range(rng.randint(0, 3))]
        request = AWSRequest(
            method=rng.choice(["GET", "POST", "PUT"]), url=f"https://example.amazonaws.com{path}{'?' if query else ''}{query}",
            data=body, headers={name: value for name, value in headers if name != "X-Amz-Date"})
        request.context["timestamp"] = timestamp
        signer = GivenTime(Credentials("AKID", secret, token), service, region)
        if token:
            request.headers["X-Amz-Security-Token"] = token
            headers.append(["X-Amz-Security-Token", token])
        signer._modify_request_before_signing(request)
        canonical = signer.canonical_request(request)
        text = signer.string_to_sign(request, canonical)
        expected.append((canonical, signer.signature(text, request)))
        lines.append(json.dumps({
            "method": request.method, "path": path, "query": query, "headers": headers, "body": body.hex(),
            "access_key_id": "AKID", "secret_access_key": secret, "region": region, "service": service,
            "timestamp": timestamp}))
    output = subprocess.run([tool, "sign"], input="\n".join(lines), capture_output=True, text=True, timeout=120)
    answers = [json.loads(line) for line in output.stdout.splitlines()]
    assert len(answers) == len(expected), output.stderr[-500:]
    for answer, (canonical, signature) in zip(answers, expected):
        assert answer["canonical_request"] == canonical, (answer["canonical_request"], canonical)
        assert answer["signature"] == signature
