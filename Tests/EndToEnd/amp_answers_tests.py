"""What a workspace of AMP answers, each answer once, mid-stream: what the agent does, counts and says."""
import os

from aws_tests import KEY, SECRET, Workspace, agent, nothing_is_lost, scrapes
from parts import get, until
from remote import Ledger, Targets, uncompress

USER = "user=210987654321_ws-0f0e0d0c-1111-2222-3333-444455556666: "
SERIES = 'series={__name__="ticks_0_total", instance="h:9100", job="t"}'

# What is done: "part": the good samples are stored, nothing is sent again, one sample is counted; "drop": all of the
# request is counted; "again": it comes again whole or in halves; "one_oh": again as remote write 1.0.
ANSWERS = [
    (429, "ingestion rate limit (1000) exceeded while adding 20 samples and 0 metadata", "rate_limited", "again"),
    (429, '{"message":"Rate exceeded"}', "requests_per_second", "again"),
    (429, USER + "per-user series limit (local limit: 0 global limit: 9) exceeded", "per_user_series_limit", "again"),
    (400, "maxFailure (quorum) on a given error family, rpc error: code = Code(400) desc = addr=10.0.0.7:9095 "
          "state=ACTIVE zone=a, rpc error: code = Code(400) desc = " + USER + "per-user series limit of 9 exceeded, x",
     "per_user_series_limit", "part"),
    (400, USER + f"err: out of order sample. timestamp=2026-02-03T04:05:06Z, {SERIES}", "sample-out-of-order", "part"),
    (400, USER + f"err: duplicate sample for timestamp. {SERIES}", "new-value-for-timestamp", "part"),
    (400, 'timestamp too old: 1800000000000 metric: "ticks_0_total"', "greater_than_max_sample_age", "part"),
    (400, "label value too long for metric (actual: 9, limit: 8)", "label_value_too_long", "part"),
    (400, "too many HA clusters (limit: 9)\n", "too_many_ha_clusters", "drop"),
    (413, '{"message":"Request Too Long"}', "request_size", "again"),
    (403, '{"message":"The security token included in the request is expired"}', "expired_token", "again"),
    (403, '{"message":"Signature expired: 20260203T040506Z is now earlier than 20260203T050506Z"}', "clock_skew", "again"),
    (403, '{"Message":"User: arn:aws:iam::210987654321:user/u is not authorized to perform: aps:RemoteWrite on x"}',
     "access_denied", "again"),
    (404, '{"Message":"Workspace not found"}', "workspace_not_found", "again"),
    (503, "too many inflight push requests in distributor", "server_error", "again"),
]


class AnsweringWorkspace(Workspace):
    """Gives one request that it would take the answer `next`: status, body, and whether it stores the request first."""

    def __init__(self):
        super().__init__()
        self.next, self.counts = None, []

    def take(self, method, path, headers, body):
        with self.lock:
            if "v2.Request" in headers["Content-Type"]:
                return 415, "io.prometheus.write.v2.Request protobuf message is not accepted by this server"
            answer, self.next = self.next, None
            if answer:
                status, text, stores = answer
                ledger = Ledger()
                ledger.take1(uncompress(body))
                self.counts.append(ledger.delivered)
                if stores:
                    self.ledger.take1(uncompress(body))
                return status, text
        return super().take(method, path, headers, body)


def figures(port):
    """The agent's counters of refusals: {(kind, code, reason): value}."""
    found = {}
    for line in get(f"http://127.0.0.1:{port}/metrics").splitlines():
        for kind in ("samples", "requests"):
            if line.startswith(f"pilotfish_remote_write_{kind}_refused_total{{"):
                labels = dict(part.split("=", 1) for part in line[line.index("{") + 1:line.rindex("}")].split(","))
                found[kind, int(labels["code"].strip('"')), labels["reason"].strip('"')] = float(line.split()[-1])
        if line.startswith("pilotfish_aws_credential_refreshes_total"):
            found["refreshes"] = float(line.split()[-1])
    return found


def give_answers(folder, answers):
    """Has a workspace give each of the answers once, and looks at what comes of it."""
    with AnsweringWorkspace() as workspace, Targets() as targets:
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        more = "protobuf_message: io.prometheus.write.v2.Request\n  metadata_config: {send: false}"
        with agent(folder, workspace, targets, "{region: us-east-1}", keys, more) as port:
            scrapes(workspace, targets, 2)
            assert figures(port)["requests", 415, "remote_write_2"] >= 1, figures(port)
            for status, body, reason, action in answers:
                before = figures(port)
                workspace.counts.clear()
                workspace.next = status, body, action in ("part", "drop")
                until("a request gets the answer", lambda: workspace.counts)
                scrapes(workspace, targets, 1)
                after = figures(port)
                change = {key: after[key] - before.get(key, 0) for key in after}
                samples = {"part": 1, "drop": workspace.counts[0]}.get(action, 0)
                assert change["requests", status, reason] == 1, (status, reason, change)
                assert change.get(("samples", status, reason), 0) == samples, (status, reason, change)
                assert sum(change[key] for key in change if key[0] == "samples") == samples, (status, reason, change)
                if "security token" not in body:
                    assert change["refreshes"] == 0, (status, reason, change)
            if any("is expired" in body for _, body, _, _ in answers):
                assert figures(port)["refreshes"] > 1
        nothing_is_lost(workspace, targets)
        assert workspace.ledger.duplicates == 0, "what was stored came again"
        assert workspace.ledger.disorder == 0
        with open(os.path.join(folder.path, "agent.log")) as log:
            lines = log.read().splitlines()
        for status, body, reason, _ in answers:
            said = [line for line in lines if f"reason={reason} " in line + " "]
            assert said, (reason, lines)
            assert any("remedy=" in line for line in said) or status >= 500 or reason == "bad_request", said
        return lines


def test_amp_answers(folder):
    """Each kind of answer once: it is acted on, counted under AMP's name, said once with its remedy; nothing is lost."""
    give_answers(folder, ANSWERS)


def test_amp_samples_of_an_hour_are_dropped(folder):
    """The limit of an hour holds without being configured, and the time left is shown."""
    with Workspace() as workspace, Targets() as targets:
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        with agent(folder, workspace, targets, "{region: us-east-1}", keys) as port:
            scrapes(workspace, targets, 2)
            lines = [line for line in get(f"http://127.0.0.1:{port}/metrics").splitlines()
                     if line.startswith("pilotfish_remote_write_seconds_until_too_old")]
            assert len(lines) == 1 and 3000 < float(lines[0].split()[-1]) <= 3600, lines
            workspace.keys[KEY]["secret"] = "another"
            until("requests are refused", lambda: workspace.rejected)
            text = lambda: open(os.path.join(folder.path, "agent.log")).read()
            until("it is said why", lambda: "reason=signature" in text() and "remedy=" in text())
            workspace.keys[KEY]["secret"] = SECRET
            scrapes(workspace, targets, 1)
        nothing_is_lost(workspace, targets)
