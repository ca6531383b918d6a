"""`pilotfish amp` and `pilotfish check amp`, beside a workspace that checks every signature and answers queries."""
import collections
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
import urllib.parse

from aws_tests import KEY, PATH, SECRET, WORKSPACE, Server, is_signed, metadata
from hostile import Skipped
from parts import PILOTFISH, free_port
from remote import fields, label, sample, uncompress
from web_tests import Certificates

API = f"/workspaces/{WORKSPACE}/api/v1/"
KEYS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
STEPS = ["credentials", "account", "dns", "tcp", "tls", "clock", "write", "read"]


class Workspace(Server):
    """Stores samples and answers the queries of the tests: a name, or `name{label="value"}`."""

    def __init__(self):
        super().__init__(self.take)
        self.keys = {KEY: {"secret": SECRET, "expires": float("inf")}}
        self.series = collections.defaultdict(list)
        self.requests, self.fault = [], lambda kind: None
        self.forgets = False

    def take(self, method, path, headers, body):
        name, _, query = path.partition("?")
        if name == PATH and method == "GET":
            return 403, '{"message":"Missing Authentication Token"}'
        reason = is_signed(method, path, headers, body, self.keys, "aps", time.time() + self.offset)
        if reason:
            return 403, json.dumps({"message": reason})
        kind = name.removeprefix(API)
        self.requests.append((kind, query))
        if not name.startswith(API):
            return 404, '{"Message":"Workspace not found"}'
        if fault := self.fault(kind):
            return fault
        if kind == "remote_write":
            if not self.forgets:
                self.store(uncompress(body))
            return 200, ""
        data = self.answer(kind, urllib.parse.parse_qs(query, strict_parsing=bool(query)))
        return 200, json.dumps({"status": "success", "data": data}, ensure_ascii=False)

    def store(self, message):
        for _, timeseries in fields(message):
            parts = list(fields(timeseries))
            labels = tuple(label(part) for number, part in parts if number == 1)
            for number, part in parts:
                if number == 2:
                    timestamp, bits = sample(part)
                    self.series[labels].append((timestamp, struct.unpack("<d", bits.to_bytes(8, "little"))[0]))

    def find(self, selector):
        name, _, rest = selector.partition("{")
        wanted = dict(pair.split("=", 1) for pair in rest.rstrip("}").split(",") if pair)
        return [(dict(labels), points) for labels, points in self.series.items()
                if dict(labels).get("__name__") == name
                and all(json.loads(value) == dict(labels).get(key) for key, value in wanted.items())]

    def answer(self, kind, query):
        text = lambda point: [point[0] / 1000, repr(point[1])]
        if kind == "query":
            return {"resultType": "vector", "result": [
                {"metric": labels, "value": text(points[-1])} for labels, points in self.find(query["query"][0])]}
        if kind == "query_range":
            bounds = float(query["start"][0]) * 1000, float(query["end"][0]) * 1000
            return {"resultType": "matrix", "result": [
                {"metric": labels, "values": [text(p) for p in points if bounds[0] <= p[0] <= bounds[1]]}
                for labels, points in self.find(query["query"][0])]}
        if kind == "series":
            return [labels for selector in query["match[]"] for labels, _ in self.find(selector)]
        if kind == "labels":
            return sorted({name for labels in self.series for name, _ in labels})
        wanted = urllib.parse.unquote(kind.removeprefix("label/").removesuffix("/values"))
        return sorted({value for labels in self.series for name, value in labels if name == wanted})


def caller(method, path, headers, body):
    """STS, asked who asks."""
    if b"Action=GetCallerIdentity" not in body or not headers["Authorization"]:
        return 400, ""
    return 200, ("<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/u</Arn>"
                 "<UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")


def pilotfish(folder, *arguments, text=None, **variables):
    """Runs the command with nothing of AWS in its environment but this; gives status, output and errors."""
    others = {name: value for name, value in os.environ.items()
              if not name.startswith("AWS_") and not name.lower().endswith("_proxy")}
    result = subprocess.run([PILOTFISH, *arguments], env={**others, "HOME": folder.path, **variables}, input=text,
                            stdin=subprocess.DEVNULL if text is None else None, capture_output=True, text=True, timeout=120)
    assert SECRET not in result.stdout + result.stderr
    return result.returncode, result.stdout, result.stderr


def at(workspace):
    return f"--workspace={workspace.url}/workspaces/{WORKSPACE}", "--region=us-east-1"


def test_amp_asks_a_workspace(folder):
    """Pushes, queries, labels and series, as tables and as JSON, every request signed, blanks as %20."""
    with Workspace() as workspace:
        def run(*arguments, text=None):
            status, output, errors = pilotfish(folder, "amp", arguments[0], *at(workspace), *arguments[1:], text=text, **KEYS)
            assert status == 0, (arguments, status, output, errors)
            return output

        run("push", 'temp{room="a b"}', "-1.5", "--time=2026-11-21T04:25:53.5Z")
        lines = '# TYPE n counter\nn{x="1"} 3 2000\nn{x="1"} 2 1000\n{"é.ü",x="\\"2\\n"} +Inf\n'
        assert run("push", "--time", "1000", text=lines) == "3 samples pushed\n"
        assert workspace.series[(("__name__", "n"), ("x", "1"))] == [(1000, 2), (2000, 3)]
        assert workspace.series[(("__name__", "é.ü"), ("x", '"2\n'))] == [(1000000, float("inf"))]

        assert run("query", 'temp{room="a b"}') == (
            'METRIC            VALUE  TIME\ntemp{room="a b"}  -1.5   2026-11-21T04:25:53.500Z\n')
        assert workspace.requests[-1] == ("query", "query=temp%7Broom%3D%22a%20b%22%7D")
        run("query", "temp", "--time=2026-11-21T04:25:53.5Z")
        assert workspace.requests[-1] == ("query", "query=temp&time=1795235153.500")
        assert json.loads(run("query", "temp", "--output=json"))["data"]["result"][0]["value"][1] == "-1.5"
        assert run("query", "n", "--start=0.5", "--end=10", "--step=1m") == (
            'METRIC    VALUE  TIME\nn{x="1"}  2.0    1970-01-01T00:00:01.000Z\nn{x="1"}  3.0    1970-01-01T00:00:02.000Z\n')
        assert workspace.requests[-1] == ("query_range", "query=n&start=0.500&end=10&step=60")
        assert run("query", "nothing") == "METRIC  VALUE  TIME\n"

        assert run("labels") == "__name__\nroom\nx\n"
        assert run("labels", "__name__", "--match=n", "--start=1", "--end=2") == "n\ntemp\né.ü\n"
        assert workspace.requests[-1] == ("label/__name__/values", "match%5B%5D=n&start=1&end=2")
        assert json.loads(run("labels", "x", "--output", "json"))["data"] == ['"2\n', "1"]
        assert run("series", "n", 'temp{room="a b"}') == 'n{x="1"}\ntemp{room="a b"}\n'
        many = "".join(f'm{{n="{n}"}} {n}\n' for n in range(5000))
        assert run("push", text=many) == "5000 samples pushed\n"
        assert len(workspace.find("m")) == 5000 and [kind for kind, _ in workspace.requests[-3:]] == ["remote_write"] * 3


def test_amp_by_the_configuration(folder):
    """The first remote_write with sigv4, or the one that is named, with its keys and its headers."""
    with Workspace() as workspace, Workspace() as other:
        url = f"{{}}/workspaces/{WORKSPACE}"
        config = folder.file("c.yml", f"""
rule_files: [x]
remote_write:
- url: http://127.0.0.1:1/api/v1/write
- url: {url.format(workspace.url)}
  sigv4: {{region: us-east-1, access_key: {KEY}, secret_key: {SECRET}}}
- url: {url.format(other.url)}/api/v1/remote_write
  name: second
  sigv4: {{region: us-east-1, access_key: {KEY}, secret_key: {SECRET}}}
  headers: {{X-More: "1"}}
""")
        flag = f"--config.file={config}"
        assert pilotfish(folder, "amp", "push", flag, "a", "1")[0] == 0
        assert pilotfish(folder, "amp", "push", flag, "b", "1", "--remote=second")[0] == 0
        assert pilotfish(folder, "amp", "push", flag, "c", "1", "--remote", "remote-1")[0] == 0
        with open(config) as file:
            content = file.read()
        assert pilotfish(folder, "amp", "push", "d", "1", PILOTFISH_CONFIG_CONTENT=content)[0] == 0
        assert [dict(labels)["__name__"] for labels in workspace.series] == ["a", "c", "d"]
        assert [dict(labels)["__name__"] for labels in other.series] == ["b"]
        for name in ("remote-0", "none"):
            status, _, errors = pilotfish(folder, "amp", "labels", flag, f"--remote={name}")
            assert status == 1 and f'has no remote_write "{name}" with sigv4' in errors, errors


def test_amp_profiles_and_roles(folder):
    """Credentials of a profile, and of a role that is assumed with them."""
    with Workspace() as workspace:
        workspace.keys["ASIA"] = {"secret": "s", "token": "t", "expires": float("inf")}

        def sts(method, path, headers, body):
            form = urllib.parse.parse_qs(body.decode())
            if form["RoleArn"] != ["arn:aws:iam::1:role/r"] or KEY not in headers["Authorization"]:
                return 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
            return 200, ("<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>"
                         "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>"
                         "2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>")

        with Server(sts) as service:
            os.mkdir(f"{folder.path}/.aws")
            folder.file(".aws/credentials", f"[p]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n")
            where = [*at(workspace), "--profile=p"]
            assert pilotfish(folder, "amp", "push", *where, "a", "1")[0] == 0
            sts = {"AWS_ENDPOINT_URL_STS": service.url}
            role = "--role-arn=arn:aws:iam::1:role/"
            assert pilotfish(folder, "amp", "push", *where, f"{role}r", "a", "1", **sts)[0] == 0
            status, _, errors = pilotfish(folder, "amp", "push", *where, f"{role}x", "a", "1", **sts)
            assert status == 1 and "AccessDenied" in errors and len(errors.splitlines()) == 1, errors


def test_amp_curl(folder):
    """The command that --curl shows is taken by the workspace; the session token is shown only when it is asked for."""
    if not shutil.which("curl"):
        raise Skipped("needs curl")
    with Workspace() as workspace:
        workspace.keys["ASIA"] = {"secret": SECRET, "token": "s3c'ret", "expires": float("inf")}
        variables = {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": "s3c'ret"}

        def shell(*arguments, **environment):
            output = pilotfish(folder, "amp", *arguments, *at(workspace), "--curl", **variables)[1]
            assert ("s3c" in output) == ("--show-token" in arguments), output
            result = subprocess.run(["sh", "-c", output], capture_output=True, text=True, timeout=60,
                                    env={"PATH": os.environ["PATH"], **environment})
            assert result.returncode == 0, (output, result.stderr)
            return result.stdout

        assert "expired" in shell("labels")
        assert not workspace.requests
        shell("push", 'a{b="it\'s"}', "1", AWS_SESSION_TOKEN="s3c'ret")
        assert json.loads(shell("labels", "b", "--show-token"))["data"] == ["it's"]
        assert json.loads(shell("series", 'a{b="it\'s"}', "--show-token"))["data"] == [{"__name__": "a", "b": "it's"}]
        assert len(workspace.requests) == 3, workspace.requests


def test_amp_failures_are_one_line(folder):
    """A wrong command line ends with 2, everything else with 1, and says why."""
    with Workspace() as workspace:
        where = at(workspace)
        for arguments in (
                [], ["nonsense"], ["query"], ["query", "a"], ["query", *where, "a", "b"], ["query", *where, "a", "--time=x"],
                ["query", *where, "a", "--time=1", "--start=1"], ["query", *where, "a", "--start=2", "--end=1"],
                ["query", *where, "a", "--step=0"], ["query", *where, "a", "--output=yaml"], ["query", *where, "a", "--nope"],
                ["labels", *where, "a", "b"], ["labels", *where, "--start=x"], ["series", *where], ["push", *where, "a"],
                ["push", *where, "a", "b"], ["push", *where, "a b", "1"], ["labels", *where, "--remote=x"],
                ["labels", "--config.file=x", *where], ["labels", *where, "--timeout=0"]):
            status, output, errors = pilotfish(folder, "amp", *arguments, **KEYS)
            assert status == 2 and not output and len(errors.splitlines()) == 1, (arguments, status, output, errors)
        for arguments in (["--help"], ["query", "--help"], ["push", "-h"]):
            assert pilotfish(folder, "amp", *arguments)[1].startswith("usage: pilotfish amp ")

        def fails(words, *arguments, text=None, **variables):
            status, output, errors = pilotfish(folder, "amp", *arguments, text=text, **(variables or KEYS))
            assert status == 1 and not output and len(errors.splitlines()) == 1, (arguments, status, output, errors)
            assert all(word in errors for word in words), errors

        fails(["no samples"], "push", *where, text="# nothing\n")
        fails(["parsing"], "push", *where, text="not an exposition")
        fails(["--region"], "labels", "--workspace=ws-1")
        fails(["no URL of a workspace"], "labels", "--workspace=http://127.0.0.1:1/x", "--region=us-east-1")
        fails(["no such file"], "labels", "--config.file=/nonexistent")
        fails(["connection refused"], "labels", f"--workspace=http://127.0.0.1:1/workspaces/{WORKSPACE}", "--region=r")
        fails(["status 403", "expired", "new ones"], "labels", *where, AWS_ACCESS_KEY_ID="OTHER", AWS_SECRET_ACCESS_KEY="s")
        fails(["no AWS credentials", "environment: AWS_ACCESS_KEY_ID is not set"], "labels", *where,
              AWS_EC2_METADATA_DISABLED="true")
        fails(["status 404", "Workspace not found"], "labels", where[0].replace(WORKSPACE, "ws-2"), where[1])
        workspace.fault = lambda kind: (422, '{"status":"error","errorType":"execution","error":"query timed out"}')
        fails(["status 422: query timed out", "shorter range"], "query", *where, "a")
        workspace.fault = lambda kind: (400, "user=1_ws: err: out of order sample.\n")
        fails(["status 400: user=1_ws: err: out of order sample."], "push", *where, "a", "1")
        workspace.fault = lambda kind: (200, "<html>")
        fails(["not JSON"], "query", *where, "a")


# MARK: check amp

def check(folder, *arguments, **variables):
    """Status and the steps by name: state, what was seen, remedy."""
    status, output, errors = pilotfish(folder, "check", "amp", *arguments, "--json", **variables)
    steps = {step["step"]: step for step in json.loads(output)["steps"]}
    assert list(steps) == STEPS and not errors, (output, errors)
    assert status == (0 if all(step["state"] == "ok" for step in steps.values()) else 1)
    return steps


def fails(steps, failed, words, skipped=()):
    """Whether just this failed, with these words, and those were skipped for it."""
    states = {name: step["state"] for name, step in steps.items()}
    assert {name for name, state in states.items() if state == "failed"} == {failed}, steps
    assert {name for name, state in states.items() if state == "skipped"} == set(skipped), steps
    step = steps[failed]
    assert all(word in f"{step['seen']} {step['remedy']}" for word in words), step


def test_amp_check(folder):
    """All steps pass; then each of them fails, and says what can be done."""
    with Workspace() as workspace, Server(caller) as sts:
        where = at(workspace)
        good = {**KEYS, "AWS_ENDPOINT_URL_STS": sts.url}
        steps = check(folder, *where, **good)
        assert all(step["state"] == "ok" for step in steps.values()), steps
        assert "environment, access key AKIDEXAMPLE" in steps["credentials"]["seen"]
        assert "123456789012, arn:aws:iam::123456789012:user/u" in steps["account"]["seen"]
        assert [dict(labels)["__name__"] for labels in workspace.series] == ["pilotfish_check"]
        status, output, _ = pilotfish(folder, "check", "amp", *where, **good)
        assert status == 0 and [line.split()[:2] for line in output.splitlines()[1:]] == [["ok", step] for step in STEPS]

        # Who asks.
        steps = check(folder, *where, AWS_EC2_METADATA_DISABLED="true", AWS_ENDPOINT_URL_STS=sts.url)
        fails(steps, "credentials", ["web identity:", "AWS_EC2_METADATA_DISABLED"], ["account", "write", "read"])
        steps = check(folder, *where, **KEYS, AWS_ENDPOINT_URL_STS="http://127.0.0.1:1")
        fails(steps, "account", ["connection refused", "com.amazonaws.us-east-1.sts"])
        with metadata(lambda: (KEY, SECRET, "t", "2099-01-01T00:00:00Z")) as instance:
            workspace.keys[KEY]["token"] = "t"
            steps = check(folder, *where, AWS_EC2_METADATA_SERVICE_ENDPOINT=instance.url, AWS_ENDPOINT_URL_STS=sts.url)
            del workspace.keys[KEY]["token"]
            assert all(step["state"] == "ok" for step in steps.values()), steps
            seen = steps["credentials"]["seen"]
            assert "instance role role" in seen and "(not environment: AWS_ACCESS_KEY_ID is not set; web identity:" in seen
        with socket.create_server(("127.0.0.1", 0)) as silent:
            hop = f"http://127.0.0.1:{silent.getsockname()[1]}"
            steps = check(folder, *where, AWS_EC2_METADATA_SERVICE_ENDPOINT=hop, AWS_ENDPOINT_URL_STS=sts.url)
            fails(steps, "credentials", ["HttpPutResponseHopLimit"], ["account", "write", "read"])

        # The way there.
        nowhere = f"--workspace=http://no-such-host.invalid/workspaces/{WORKSPACE}"
        steps = check(folder, nowhere, where[1], "--timeout=5s", **good)
        fails(steps, "dns", [], ["tcp", "tls", "clock", "write", "read"])
        steps = check(folder, f"--workspace=http://127.0.0.1:{free_port()}/workspaces/{WORKSPACE}", where[1], **good)
        fails(steps, "tcp", ["connection refused", "route"], ["tls", "clock", "write", "read"])
        with socket.create_server(("127.0.0.1", 0)) as silent:
            nobody = f"--workspace=http://127.0.0.1:{silent.getsockname()[1]}/workspaces/{WORKSPACE}"
            steps = check(folder, nobody, where[1], "--timeout=1s", **good)
            fails(steps, "tls", ["context deadline exceeded", "NAT gateway"], ["clock", "write", "read"])
            assert "NAT" not in steps["tls"]["seen"]
        steps = check(folder, where[0].replace("http:", "https:"), where[1], **good)
        fails(steps, "tls", ["gave HTTP response to HTTPS client"], ["clock", "write", "read"])
        workspace.offset = -120
        fails(check(folder, *where, **good), "clock", ["s ahead of AWS' clock", "set the clock"])
        # Signatures bear no more than five minutes, but go by AWS' clock.
        workspace.offset = 3600
        fails(check(folder, *where, **good), "clock", ["s behind AWS' clock", "set the clock"])
        workspace.offset = 0

        # There and back.
        denied = '{"Message":"User: arn:aws:iam::1:user/u is not authorized to perform: %s on resource"}'
        workspace.fault = lambda kind: (403, denied % "aps:RemoteWrite") if kind == "remote_write" else None
        fails(check(folder, *where, **good), "write", ["not authorized", "AmazonPrometheusRemoteWriteAccess"], ["read"])
        workspace.fault = lambda kind: (403, denied % "aps:QueryMetrics") if kind == "query" else None
        fails(check(folder, *where, **good), "read", ["AmazonPrometheusQueryAccess"])
        workspace.fault = lambda kind: (400, "per-user series limit of 10 exceeded") if kind == "remote_write" else None
        fails(check(folder, *where, **good), "write", ["series limit", "quota"], ["read"])
        workspace.fault = lambda kind: None
        steps = check(folder, where[0].replace(WORKSPACE, "ws-2"), where[1], **good)
        fails(steps, "write", ["Workspace not found", "another account", "123456789012"], ["read"])
        steps = check(folder, *where, **{**good, "AWS_SECRET_ACCESS_KEY": "wrong"})
        fails(steps, "write", ["does not match", "secret key"], ["read"])
        workspace.forgets = True
        workspace.series.clear()
        fails(check(folder, *where, **good), "read", ["is not found", "pilotfish amp query"])


def test_amp_check_of_tls(folder):
    """A certificate by an authority that the system does not know, and by one that the configuration names."""
    made = Certificates(folder)
    made.make("server", "DNS:localhost,IP:127.0.0.1")
    with Workspace() as workspace, Server(caller) as sts:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder.path}/server.pem", f"{folder.path}/server.key")
        workspace.http.socket = context.wrap_socket(workspace.http.socket, server_side=True)
        url = f"{workspace.url.replace('http:', 'https:')}/workspaces/{WORKSPACE}"
        good = {**KEYS, "AWS_ENDPOINT_URL_STS": sts.url}
        steps = check(folder, f"--workspace={url}", "--region=us-east-1", **good)
        fails(steps, "tls", ["x509: certificate signed by unknown authority", "ca_file"], ["clock", "write", "read"])
        config = folder.file("c.yml", f"""
remote_write:
- {{url: "{url}", sigv4: {{region: us-east-1}}, tls_config: {{ca_file: "{folder.path}/ca.pem"}}}}
""")
        steps = check(folder, f"--config.file={config}", **good)
        assert all(step["state"] == "ok" for step in steps.values()), steps
