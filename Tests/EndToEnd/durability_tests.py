"""What the agent scraped arrives: after kill -9, restarts, outages, throttling, a full disk, a damaged file; in order,
and repeated only as it was."""
import contextlib
import glob
import os
import random
import signal
import subprocess
import time

from hostile import Skipped
from parts import PILOTFISH, Target, free_port, get, process, until
from remote import LogRecords, Receiver, Targets

ROUNDS = int(os.environ.get("KILLS", 10))
# A scrape that was answered less than this before kill -9 may be lost: the agent may not have had the time to parse it
# and to hand it to the kernel. Both together take it some milliseconds; the rest is for a busy machine. Whatever stood
# in the log at the kill has no such grace: it is looked up there.
GRACE = 0.5
INTERVAL = 0.1


def configuration(receivers, targets, queue="", remote=""):
    queue = f"batch_send_deadline: 200ms, max_backoff: 1s, {queue}".rstrip(", ")
    return (
        "global: {scrape_interval: 100ms, scrape_timeout: 100ms, external_labels: {cluster: test}}\n"
        f"scrape_configs: [{{job_name: t, static_configs: [{{targets: {targets.instances}}}]}}]\nremote_write:\n"
        + "".join(f"- {{name: r{n}, url: 'http://127.0.0.1:{port}/api/v1/write', queue_config: {{{queue}}}{remote}}}\n"
                  for n, port in enumerate(receivers)))


def metric(port, name, *labels):
    """The sum of a metric's samples that have these labels, each as name="value"."""
    lines = [line for line in get(f"http://127.0.0.1:{port}/metrics").splitlines()
             if line.startswith((name + "{", name + " ")) and all(label in line for label in labels)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def scraped(targets, count):
    """Waits until there are so many more scrapes of all targets."""
    end = targets.total + count
    until(f"{count} scrapes", lambda: targets.total >= end)


def arrives(receiver, targets):
    """Waits until all that is answered so far has arrived."""
    last = {target: targets.count(target) for target in targets.instances}

    def is_here():
        with receiver.lock:
            numbered = [series for series in receiver.ledger.series.values() if series.target]
            return len(numbered) == targets.series * len(last) and all(s.number >= last[s.target] for s in numbered)
    until("all that was scraped has arrived", is_here)


def check(receiver, targets, excuse=lambda answered: False):
    """Nothing is missing but scrapes whose time has an excuse, nothing is in disorder, repeats are exact."""
    ledger = receiver.ledger
    with receiver.lock:
        assert not receiver.errors, receiver.errors[:3]
        assert not ledger.disorder and not ledger.mismatches, (ledger.disorder, ledger.mismatches)
        # The last scrape may be on its way.
        missing = {(target, number): count for (target, number), count in ledger.missing(targets, INTERVAL)[0].items()
                   if number < targets.count(target) - 3 and not excuse(targets.answered[target][number])}
    assert not missing, f"{len(missing)} scrapes: {list(missing.items())[:5]}"


def check_dropped(port):
    assert metric(port, "prometheus_remote_storage_samples_dropped_total") == 0
    assert metric(port, "prometheus_remote_storage_samples_failed_total") == 0


def test_kill_9(folder):
    """kill -9 at random moments while two receivers are flaky, each in its own way."""
    port, records, kills = free_port(), LogRecords(folder.path + "/log"), []

    def flaky():
        return random.choices(["ok", "503", "429", "reset", "lost", "slow"], [60, 10, 2, 10, 10, 8])[0]

    with Receiver(fault=flaky) as first, Receiver(fault=flaky) as second, Targets(3) as targets:
        text = configuration([first.port, second.port], targets)
        for _ in range(ROUNDS):
            with folder.agent(port, text) as agent:
                scraped(targets, random.randint(1, 60))
                time.sleep(random.uniform(0, 0.1))
                killed = time.time()
                agent.kill()
                agent.wait()
            records.look()
            kills.append((killed - GRACE, time.time()))
        first.fault = second.fault = lambda: "ok"
        with folder.agent(port, text):
            scraped(targets, 5)
            for receiver in (first, second):
                arrives(receiver, targets)
            check_dropped(port)
        for receiver in (first, second):
            check(receiver, targets, lambda answered: any(start <= answered <= end for start, end in kills))
            unsent = {at: count for at, count in records.samples.items() if receiver.ledger.by_time[at] < count}
            assert not unsent, f"in the log at a kill, but never sent: {unsent}"


def test_restarts_within_an_outage(folder):
    """The receiver is down; the agent is stopped, then killed, then started: all of it arrives."""
    port, receiver_port, kills = free_port(), free_port(), []
    text = lambda: configuration([receiver_port], targets)  # noqa: E731
    flags = ["--storage.remote.flush-deadline=1s"]
    with Targets(2) as targets:
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with folder.agent(port, text(), *flags) as agent:
                scraped(targets, 30)
                ended = time.time()
                agent.send_signal(ending)
                status = agent.wait(60)
                assert status == (0 if ending == signal.SIGTERM else -9), status
            # SIGTERM has no grace but for the scrape that it broke off.
            kills.append((ended - (GRACE if ending == signal.SIGKILL else 0), time.time()))
        with folder.agent(port, text(), *flags):
            scraped(targets, 20)
            with Receiver(receiver_port) as receiver:
                arrives(receiver, targets)
                check(receiver, targets, lambda answered: any(start <= answered <= end for start, end in kills))
                assert receiver.ledger.duplicates == 0
            check_dropped(port)


def test_throttling_loses_nothing(folder):
    """429 for a while, with and without Retry-After: everything arrives."""
    port, answers = free_port(), ["429"]
    with Receiver(fault=lambda: answers[0]) as receiver, Targets(2) as targets:
        with folder.agent(port, configuration([receiver.port], targets)):
            until("the receiver throttles", lambda: receiver.answers["v1 429"] >= 3)
            scraped(targets, 30)
            answers[0] = "ok"
            arrives(receiver, targets)
            check(receiver, targets)
            check_dropped(port)
            assert receiver.ledger.duplicates == 0


def test_a_remote_that_is_down_slows_no_other(folder):
    """One of two receivers is down for long: the other gets everything meanwhile, and the first one afterwards."""
    port, down = free_port(), free_port()
    with Receiver() as well, Targets(2) as targets, folder.agent(port, configuration([down, well.port], targets)):
        scraped(targets, 100)
        arrives(well, targets)
        check(well, targets)
        # The one that is well is at most some requests behind, the one that is down has got nothing.
        pending = [metric(port, "prometheus_remote_storage_samples_pending", f'remote_name="r{n}"') for n in (0, 1)]
        assert pending[0] >= 90 * targets.series and pending[1] < pending[0] / 2, pending
        with Receiver(down) as late:
            arrives(late, targets)
            check(late, targets)
        arrives(well, targets)
        check_dropped(port)


def test_full_disk(folder):
    """The log's disk is full: scraping and sending go on, that is said once, and there is a log again when there is
    room."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        raise Skipped("needs root, and to be allowed namespaces")
    port, log = free_port(), folder.path + "/agent.log"
    os.mkdir(folder.path + "/log")
    with Receiver() as receiver, Targets(2) as targets:
        path = folder.file("agent.yml", configuration([receiver.port], targets))
        command = [
            "unshare", "--mount", "sh", "-c",
            f'mount -t tmpfs -o size=12m tmpfs {folder.path}/log && exec "$0" "$@"', PILOTFISH, "agent",
            f"--config.file={path}", f"--storage.agent.path={folder.path}/log", f"--web.listen-address=127.0.0.1:{port}"]
        with process(command, log, f"http://127.0.0.1:{port}/-/ready") as agent:
            inside = f"/proc/{agent.pid}/root{folder.path}/log"
            scraped(targets, 10)
            assert LogRecords(inside).look().samples, os.listdir(inside)
            with open(inside + "/filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
                while filler.write(bytes(4096)):
                    pass
            failing = lambda: metric(port, "pilotfish_log_failing")  # noqa: E731
            until("the log fails", failing)
            scraped(targets, 50)
            arrives(receiver, targets)
            old = set(glob.glob(inside + "/*.log"))
            os.unlink(inside + "/filler")
            until("the log is written again", lambda: not failing())
            until("a new segment", lambda: set(glob.glob(inside + "/*.log")) - old)
            scraped(targets, 10)
            arrives(receiver, targets)
            check(receiver, targets)
            check_dropped(port)
            text = open(log).read()
            assert text.count("The log cannot be written") == 1 and text.count("The log is written again") == 1, text


def test_damaged_segment(folder):
    """Bytes of an old segment are flipped: what it held behind them is counted as lost, the rest arrives."""
    port, receiver_port = free_port(), free_port()
    with Targets(2) as targets:
        text = configuration([receiver_port], targets)
        for _ in range(2):
            with folder.agent(port, text, "--storage.remote.flush-deadline=100ms"):
                scraped(targets, 60)
        segments = sorted(glob.glob(folder.path + "/log/*.log"))
        assert len(segments) >= 2, segments
        with open(segments[0], "r+b") as segment:
            middle = os.path.getsize(segments[0]) // 2
            segment.seek(middle)
            damaged = bytes(byte ^ 0xFF for byte in segment.read(16))
            segment.seek(middle)
            segment.write(damaged)
        with folder.agent(port, text), Receiver(receiver_port) as receiver:
            scraped(targets, 10)
            arrives(receiver, targets)
            ledger = receiver.ledger
            assert not ledger.disorder and not ledger.mismatches and not ledger.duplicates
            lost = metric(port, "prometheus_remote_storage_samples_dropped_total", 'reason="damage"')
            missing, _ = ledger.missing(targets, INTERVAL)
            assert missing and all(count == targets.series for count in missing.values()), missing
            # With each scrape come the samples about it, up and the like; what SIGTERM broke off was never stored.
            assert 0 < lost <= len(missing) * (targets.series + 10), (lost, len(missing))
            assert lost >= (len(missing) - 2 * len(targets.instances)) * targets.series, (lost, len(missing))
            assert metric(port, "prometheus_remote_storage_samples_dropped_total") == lost


def test_folder_in_use(folder):
    """A second agent on the same folder is refused, in words, with status 1; the first one goes on."""
    port = free_port()
    with Receiver() as receiver, Targets(1) as targets, folder.agent(port, configuration([receiver.port], targets)):
        second = subprocess.run(
            [PILOTFISH, "agent", f"--config.file={folder.path}/agent.yml", f"--storage.agent.path={folder.path}/log",
             f"--web.listen-address=127.0.0.1:{free_port()}"], capture_output=True, text=True, timeout=30)
        assert second.returncode == 1, second
        assert "another pilotfish uses this folder" in second.stderr.splitlines()[-1], second.stderr
        scraped(targets, 5)
        arrives(receiver, targets)
        check(receiver, targets)


def accepts(folder, text):
    """Whether the agent takes a configuration."""
    path = folder.file("try.yml", text)
    port = free_port()
    with process([PILOTFISH, "agent", f"--config.file={path}", f"--storage.agent.path={folder.path}/try",
                  f"--web.listen-address=127.0.0.1:{port}"], folder.path + "/try.log") as agent:
        until("an answer", lambda: agent.poll() is not None or get(f"http://127.0.0.1:{port}/-/ready"))
        return agent.poll() is None


def test_receiver_of_1_0_only(folder):
    """Remote write 2.0 is answered 415: everything is sent by 1.0, and 2.0 is not tried again."""
    port = free_port()
    with Receiver(versions=(1,)) as receiver, Targets(2) as targets:
        text = configuration([receiver.port], targets, remote=", protobuf_message: io.prometheus.write.v2.Request")
        if not accepts(folder, text):
            raise Skipped("protobuf_message is not served")
        receiver.answers.clear()
        with folder.agent(port, text):
            scraped(targets, 20)
            arrives(receiver, targets)
            tried = receiver.answers["v2 415"]
            assert 0 < tried <= 2, receiver.answers
            scraped(targets, 20)
            arrives(receiver, targets)
            check(receiver, targets)
            check_dropped(port)
            assert receiver.answers["v2 415"] == tried, receiver.answers


def test_receiver_of_2_0(folder):
    """Remote write 2.0: everything arrives."""
    port = free_port()
    with Receiver() as receiver, Targets(2) as targets:
        text = configuration([receiver.port], targets, remote=", protobuf_message: io.prometheus.write.v2.Request")
        if not accepts(folder, text):
            raise Skipped("protobuf_message is not served")
        with folder.agent(port, text):
            scraped(targets, 20)
            arrives(receiver, targets)
            check(receiver, targets)
            assert set(receiver.answers) == {"v2 ok"}, receiver.answers


def test_metadata(folder):
    """Remote write 1.0 tells type and help of families as often as metadata_config says."""
    port = free_port()
    with Receiver() as receiver, Target() as target:
        targets = Targets(0)
        targets.instances = [f"127.0.0.1:{target.port}"]
        text = configuration([receiver.port], targets, remote=", metadata_config: {send: true, send_interval: 1s}")
        if not accepts(folder, text):
            raise Skipped("metadata_config is not served")
        with folder.agent(port, text):
            until("metadata arrives", lambda: receiver.ledger.metadata.get("ticks"))
            assert receiver.ledger.metadata["ticks"][0] == 1, receiver.ledger.metadata  # COUNTER
