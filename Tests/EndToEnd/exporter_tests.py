"""The exporter: its start, its page, its formats."""
import os
import signal
import socket
import subprocess

from parts import free_port, get, process, query, refused, until


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
