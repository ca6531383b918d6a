#!/usr/bin/env python3
"""Runs answers of the ECS task metadata endpoint through pilotfish and compares what it shows.

usage: ecs_conformance.py PILOTFISH KIT

Every folder of KIT has task_metadata.json and task_stats.json; some have ecs_exporter_metrics.txt, what ecs_exporter
makes of them. Its two faults are no differences: no page cache under cgroup v2, and with bridge networks the counters of
one container only. cAdvisor's metrics are compared with what the answers say.
"""
import contextlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request


def serve(task, stats):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"/v4/x/task": task, "/v4/x/task/stats": stats}[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def page(pilotfish, task, stats):
    metadata = serve(task, stats)
    probe = http.server.HTTPServer(("127.0.0.1", 0), None)
    port = probe.server_address[1]
    probe.server_close()
    environment = {**os.environ, "ECS_CONTAINER_METADATA_URI_V4": f"http://127.0.0.1:{metadata.server_port}/v4/x"}
    child = subprocess.Popen(
        [pilotfish, f"--web.listen-address=127.0.0.1:{port}", "--collector.disable-defaults",
         "--container.ecs-exporter-names"], env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{port}/metrics/cadvisor"
                return urllib.request.urlopen(url, timeout=60).read().decode()
            assert child.poll() is None, "pilotfish ended"
            time.sleep(0.1)
        raise AssertionError("pilotfish does not answer")
    finally:
        child.terminate()
        child.wait(60)
        metadata.shutdown()


def samples(text):
    """Values by name and labels, without the runtime's labels; HELP and TYPE lines as they are."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            found[line] = None
            continue
        name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
        pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")
        key = (name, *sorted(pair for pair in pairs if not pair[0].startswith("container_label_")))
        assert key not in found, f"twice: {line}"
        found[key] = float(value)
    return found


def first(stats, *names):
    return next(stats[name] for name in names if name in stats)


def expected(task, stats, with_bridge):
    """cAdvisor's samples, and the two that ecs_exporter has wrong."""
    cadvisor, cache, networks = {}, {}, {}
    path = "/ecs/" + task["TaskARN"].rsplit("/", 1)[1]
    for container in task["Containers"]:
        of = stats.get(container["DockerId"])
        if not of:
            continue
        def add(name, value, *more):
            labels = [("id", f"{path}/{container['DockerId']}"), ("image", container["Image"]),
                      ("name", container["DockerName"]), *more]
            cadvisor[(name, *sorted(labels))] = value
        memory = of["memory_stats"]["stats"]
        limit = container["Limits"].get("Memory") or task.get("Limits", {}).get("Memory", 0)
        cached = first(memory, "total_cache", "file")
        cache[container["Name"]] = cached
        add("container_cpu_usage_seconds_total", of["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, ("cpu", "total"))
        add("container_cpu_user_seconds_total", of["cpu_stats"]["cpu_usage"]["usage_in_usermode"] / 1e9)
        add("container_cpu_system_seconds_total", of["cpu_stats"]["cpu_usage"]["usage_in_kernelmode"] / 1e9)
        add("container_memory_usage_bytes", of["memory_stats"]["usage"])
        add("container_memory_working_set_bytes",
            max(0, of["memory_stats"]["usage"] - first(memory, "total_inactive_file", "inactive_file")))
        add("container_memory_cache", cached)
        add("container_memory_rss", first(memory, "total_rss", "anon"))
        add("container_spec_memory_limit_bytes", limit << 20)
        add("container_spec_cpu_shares", max(2, container["Limits"]["CPU"]))
        for interface, counters in of["networks"].items():
            networks.setdefault(interface, {})[container["DockerName"]] = counters["rx_bytes"]
            if with_bridge:
                add("container_network_receive_bytes_total", counters["rx_bytes"], ("interface", interface))
    sums = {}
    for interface, by_container in networks.items():
        sums[interface] = (sum if with_bridge else max)(by_container.values())
        if not with_bridge:
            cadvisor[("container_network_receive_bytes_total", ("id", path), ("image", ""), ("interface", interface),
                      ("name", ""))] = sums[interface]
    return cadvisor, cache, sums


def check(pilotfish, folder):
    def load(name):
        with open(os.path.join(folder, name)) as f:
            return json.load(f)

    task, stats = load("task_metadata.json"), load("task_stats.json")
    with_bridge = any(n["NetworkMode"] == "bridge" for c in task["Containers"] for n in c["Networks"])
    shown = samples(page(pilotfish, task, stats))
    wanted, cache, network = expected(task, stats, with_bridge)
    # Of these families nothing else is to be there, but for the task's own limit.
    names = {key[0] for key in wanted}
    strange = [key for key in shown if key[0] in names and key not in wanted and ("name", "") not in key]
    reference = os.path.join(folder, "ecs_exporter_metrics.txt")
    if os.path.exists(reference):
        with open(reference) as f:
            theirs = samples(f.read())
        strange += [key for key in shown if "ecs_" in (key if isinstance(key, str) else key[0])
                    and not str(key).count("pilotfish_ecs") and "container_" != key[0][:10] and key not in theirs]
        for key in theirs:
            if key[0].startswith("ecs_network_") and with_bridge:
                continue
            if key[0] == "ecs_container_memory_page_cache_size_bytes":
                continue
            wanted[key] = theirs[key]
    for name, value in cache.items():
        wanted[("ecs_container_memory_page_cache_size_bytes", ("container_name", name))] = value
    for interface, value in network.items():
        wanted[("ecs_network_receive_bytes_total", ("interface", interface))] = value
    wrong = [(key, value, shown.get(key, "nothing")) for key, value in wanted.items()
             if key not in shown or shown[key] != value]
    print(f"{os.path.basename(folder)}: {len(wanted) - len(wrong)} of {len(wanted)} as expected, "
          f"{len(strange)} unexpected, {len(shown)} lines")
    for key, value, other in wrong:
        print(f"  expected {key} {value}, got {other}")
    for key in strange:
        print(f"  unexpected {key}")
    return not wrong and not strange


if __name__ == "__main__":
    folders = sorted(
        entry.path for entry in os.scandir(sys.argv[2]) if os.path.exists(os.path.join(entry.path, "task_stats.json")))
    results = [check(os.path.abspath(sys.argv[1]), folder) for folder in folders]
    sys.exit(0 if results and all(results) else 1)
