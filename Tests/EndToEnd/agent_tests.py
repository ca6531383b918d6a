"""The agent: what is scraped reaches a real Prometheus."""
import glob
import json
import os
import re
import signal
import struct
import subprocess
import urllib.error
import urllib.request

import read_log
from parts import PILOTFISH, Target, config, free_port, get, query, refused, samples, until


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


def test_files_of_targets_are_followed(folder):
    """file_sd_configs: a target comes, gets other labels by relabelling, and goes with its series."""
    receiver, port = free_port(), free_port()
    sd = folder.file("targets.json", "[]")
    job = (f"- job_name: files\n  file_sd_configs: [{{files: ['{folder.path}/target*.json']}}]\n"
           "  relabel_configs:\n  - {source_labels: [drop], regex: me, action: drop}\n"
           "  - {regex: x_(.+), action: labelmap}\n")
    text = config(receiver, []).replace("scrape_configs:\n", "scrape_configs:\n" + job)
    with folder.prometheus(receiver), Target() as target, folder.agent(port, text):
        address = f"127.0.0.1:{target.port}"
        replace(sd, [{"targets": [address], "labels": {"x_zone": "a"}}, {"targets": ["127.0.0.1:1"], "labels": {"drop": "me"}}])
        up = until("the target is up", lambda: query(receiver, "up == 1"))
        assert up[0]["metric"]["zone"] == "a" and up[0]["metric"]["instance"] == address, up
        found = json.loads(get(f"http://127.0.0.1:{port}/api/v1/targets"))["data"]
        assert found["droppedTargetCounts"] == {"files": 1}, found
        assert found["activeTargets"][0]["discoveredLabels"]["__meta_filepath"] == sd, found
        # A file that is broken changes nothing.
        replace(sd, "nothing")
        before = target.count
        until("scrapes go on", lambda: target.count >= before + 3)
        replace(sd, [])
        until("the series are gone", lambda: not query(receiver, "up"), 10)


def test_a_reload_changes_jobs(folder):
    """SIGHUP: a job goes with staleness markers, another one goes on without a gap; a bad file changes nothing."""
    receiver, port = free_port(), free_port()
    with folder.prometheus(receiver), Target() as stays, Target() as goes:
        both = config(receiver, [("stays", stays.port), ("goes", goes.port)])
        with folder.agent(port, both) as agent:
            until("both are up", lambda: len(query(receiver, "up == 1")) == 2)
            folder.file("agent.yml", both + "nonsense: 1\n")
            agent.send_signal(signal.SIGHUP)
            until("the reload fails", lambda: metric(port, "prometheus_config_last_reload_successful") == 0)
            assert "agent.yml:10:1: nonsense: unknown key" in open(folder.path + "/agent.log").read()
            assert len(query(receiver, "up == 1")) == 2
            first = metric(port, "prometheus_config_last_reload_success_timestamp_seconds")
            folder.file("agent.yml", config(receiver, [("stays", stays.port)]))
            agent.send_signal(signal.SIGHUP)
            until("the job is gone", lambda: not query(receiver, 'up{job="goes"}'), 10)
            assert metric(port, "prometheus_config_last_reload_successful") == 1
            assert metric(port, "prometheus_config_last_reload_success_timestamp_seconds") > first
            before = stays.count
            until("scrapes go on", lambda: stays.count >= before + 3)
            values = samples(receiver, 'ticks{job="stays"}')
            assert values == [float(n) for n in range(1, len(values) + 1)], values


def test_reload_by_http_is_off_by_default(folder):
    """/-/reload: 403 without the flag, 405 for GET, 200 or 500 with it."""
    port = free_port()
    with folder.agent(port, "scrape_configs: []\n"):
        assert status(port, "POST") == 403 and status(port, "GET") == 405
    with folder.agent(port, "scrape_configs: []\n", "--web.enable-lifecycle"):
        assert status(port, "POST") == 200 and status(port, "PUT") == 200 and status(port, "GET") == 405
        folder.file("agent.yml", "nonsense: 1\n")
        assert status(port, "POST") == 500


def test_check_config(folder):
    """check config: file, line and column for what is not."""
    assert ":2:3: scrape_configs[0].job_nam: unknown key" in refused(
        "check", "config", "--agent", folder.file("bad.yml", "scrape_configs:\n- job_nam: j\n"))
    assert "usage: pilotfish check" in refused("check")


def metric(port, name):
    lines = get(f"http://127.0.0.1:{port}/metrics").splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).split()[1])


def replace(path, content):
    """Puts a new file in the place of another at once."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(content if isinstance(content, str) else json.dumps(content))
    os.rename(path + ".new", path)


def status(port, method):
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/-/reload", method=method)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
def test_the_log_reads_as_documented(folder):
    """An independent reader of the log's format finds what `check log` finds, and every scrape."""
    port, log = free_port(), os.path.join(folder.path, "log")
    with Target() as target:
        # A receiver that is not there: all stays in the log.
        with folder.agent(port, config(free_port(), [("t", target.port), ("node", port)]),
                          "--storage.remote.flush-deadline=1s"):
            until("some scrapes", lambda: target.count >= 20)
            assert check_log(log)[0] == 0, "beside a running agent"
        status, text = check_log(log)
        assert status == 0, text
        read = list(read_log.log(log))
        total = re.search(r"^total: (\d+) segments, \d+ bytes, \d+ records, (\d+) series, (\d+) samples", text, re.M)
        found = [len(glob.glob(f"{log}/*.log")), len({labels for _, labels, _, _ in read}), len(read)]
        assert [int(n) for n in total.groups()] == found, (text, found)
        unsent = re.search(r"^remote \w+: (\d+) samples not acknowledged", text, re.M)
        assert int(unsent[1]) == len(read), text
        assert [ordinal for ordinal, *_ in read] == list(range(1, len(read) + 1))
        ticks = [struct.unpack("<d", struct.pack("<Q", bits))[0]
                 for _, labels, _, bits in read if (b"__name__", b"ticks") in labels]
        assert ticks == [float(n) for n in range(1, len(ticks) + 1)] and len(ticks) >= 20, ticks
    path = sorted(glob.glob(f"{log}/*.log"))[0]
    with open(path, "r+b") as f:
        f.seek(60)
        byte = f.read(1)[0]
        f.seek(60)
        f.write(bytes([byte ^ 1]))
    status, text = check_log(log)
    assert status == 1 and f"damage {os.path.basename(path)}: byte 32: a record's checksum is wrong" in text, text
    assert check_log("/nonexistent")[0] == 1


def check_log(path):
    done = subprocess.run([PILOTFISH, "check", "log", path], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout
