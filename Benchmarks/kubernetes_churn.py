#!/usr/bin/env python3
"""Kubernetes discovery while pods come and go: what it takes, and whether a pod is missed.

usage: kubernetes_churn.py PILOTFISH MOCK [--pods 5000] [--life 60] [--minutes 3] [--interval 15s]

MOCK is a program that plays the API server: it takes --port, lists and watches /api/v1/pods, and POST and DELETE of
pods. Each pod has an address of its own in 127.0.0.0/8, behind which one server answers for all, so that it is known
which pods were scraped, and when. PODS live at a time, each for LIFE seconds. Shows each ten seconds: pods made and
gone, targets, resident memory and CPU of pilotfish; at the end the requests to the API server, and the pods that lived for
longer than two intervals and were never scraped.
"""
import argparse
import asyncio
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("pilotfish")
parser.add_argument("mock")
parser.add_argument("--pods", type=int, default=5000)
parser.add_argument("--life", type=float, default=60)
parser.add_argument("--minutes", type=float, default=3)
parser.add_argument("--interval", type=int, default=15, help="of scrapes, in seconds")
parser.add_argument("--port", type=int, default=21900, help="the first of three ports")
parser.add_argument("--drop", action="store_true", help="scrape nothing: what discovery alone takes")
parser.add_argument("--settle", type=float, default=20, help="seconds at the end without a change")
args = parser.parse_args()
API, AGENT, TARGET = args.port, args.port + 1, args.port + 2
BODY = b"# TYPE x gauge\n" + b"".join(b'x{n="%d"} 1\n' % n for n in range(5))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
scraped = {}  # address -> (first, last)


class Pods(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.address = transport, transport.get_extra_info("sockname")[0]

    def data_received(self, data):
        for _ in range(data.count(b"\r\n\r\n")):
            now = time.time()
            scraped[self.address] = (scraped.get(self.address, (now,))[0], now)
            self.transport.write(ANSWER)


def serve():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(loop.create_server(Pods, "0.0.0.0", TARGET, backlog=4096))
    loop.run_forever()


def pod(number):
    address = f"127.{1 + number // 64516 % 250}.{1 + number // 254 % 254}.{1 + number % 254}"
    managed = [{"manager": "m", "operation": "Update", "fieldsV1": {f"f:{n}": {"f:x": {}} for n in range(60)}}]
    return address, {
        "metadata": {
            "name": f"web-{number // 100}-{number}", "namespace": f"team-{number % 20}",
            "labels": {"app": f"app-{number % 50}", "pod-template-hash": f"{number // 1000:x}", "tier": "web"},
            "annotations": {"prometheus.io/scrape": "true", "kubernetes.io/config.seen": str(number)},
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"web-{number // 100}", "controller": True}],
            "managedFields": managed},
        "spec": {"nodeName": f"node-{number % 100}", "containers": [
            {"name": "app", "image": "registry.example/app:1.2.3", "ports": [{"containerPort": TARGET, "name": "http"}],
             "env": [{"name": f"VARIABLE_{n}", "value": "x" * 20} for n in range(20)]}]},
        "status": {"phase": "Running", "podIP": address, "hostIP": "192.0.2.1",
                   "conditions": [{"type": "Ready", "status": "True"}],
                   "containerStatuses": [{"name": "app", "containerID": f"containerd://{number:064x}"}]}}


born, gone, latest = {}, {}, {}
work = queue.Queue()


def change():
    connection = http.client.HTTPConnection("127.0.0.1", API)
    while True:
        method, number = work.get()
        address, body = pod(number)
        path = f"/api/v1/namespaces/{body['metadata']['namespace']}/pods"
        if method == "DELETE":
            path, body = f"{path}/{body['metadata']['name']}", None
        connection.request(method, path, json.dumps(body) if body else None)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (200, 201), answer.status
        (gone if method == "DELETE" else born)[number] = time.time()


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def usage(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(") ", 1)[1].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20, cpu


def main():
    folder = tempfile.mkdtemp(prefix="churn.")
    threading.Thread(target=serve, daemon=True).start()
    for _ in range(4):
        threading.Thread(target=change, daemon=True).start()
    mock = subprocess.Popen([sys.executable, args.mock, "--port", str(API)], stdout=subprocess.DEVNULL)
    config = os.path.join(folder, "p.yml")
    with open(config, "w") as f:
        f.write(f"""global: {{scrape_interval: {args.interval}s}}
scrape_configs:
  - job_name: pods
    kubernetes_sd_configs: [{{role: pod, api_server: 'http://127.0.0.1:{API}'}}]
    relabel_configs:
      - {{source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: '{"nobody" if args.drop else "true"}'}}
      - {{source_labels: [__meta_kubernetes_pod_name], target_label: pod}}
      - {{source_labels: [__meta_kubernetes_namespace], target_label: namespace}}
  - job_name: again
    kubernetes_sd_configs: [{{role: pod, api_server: 'http://127.0.0.1:{API}'}}]
    relabel_configs: [{{source_labels: [__meta_kubernetes_namespace], action: keep, regex: 'nobody'}}]
""")
    agent = None
    try:
        time.sleep(1)
        for number in range(args.pods):
            work.put(("POST", number))
        while len(born) < args.pods:
            time.sleep(0.1)
        with open(os.path.join(folder, "log"), "w") as log:
            agent = subprocess.Popen(
                [args.pilotfish, "agent", f"--config.file={config}", f"--storage.agent.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{AGENT}", "--collector.disable-defaults"], stdout=log, stderr=log)
        start = time.time()
        number, rate, shown, cpu_before = args.pods, args.pods / args.life, start + 10, 0
        print("  s   made   gone  known   scraped  RSS MiB  CPU %   events")
        while (now := time.time() - start) < args.minutes * 60 + args.settle:
            while now < args.minutes * 60 and work.qsize() < 100 and number - args.pods < now * rate:
                work.put(("DELETE", number - args.pods))
                work.put(("POST", number))
                number += 1
            if time.time() >= shown:
                text = get(f"http://127.0.0.1:{AGENT}/metrics")
                events = sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                             if line.startswith("prometheus_sd_kubernetes_events_total") and 'role="pod"' in line)
                memory, cpu = usage(agent.pid)
                print(f"{now:4.0f} {len(born):6} {len(gone):6} {len(born) - len(gone):6} {len(scraped):8} {memory:8.1f}"
                      f" {(cpu - cpu_before) * 10:6.1f} {events:8.0f}", flush=True)
                cpu_before, shown = cpu, shown + 10
            time.sleep(0.02)
        end = time.time()
        asked = [r for r in json.loads(get(f"http://127.0.0.1:{API}/_mock/requests")) if r["m"] == "GET"]
        print(f"requests to the API server: {len(asked)}, for {len(born)} pods made and {len(gone)} gone")
        if args.drop:
            return 0
        due = [n for n in list(born) if gone.get(n, end) - max(born[n], start) > 2 * args.interval]
        missed = [n for n in due if pod(n)[0] not in scraped]
        late = sorted(scraped[pod(n)[0]][0] - born[n] for n in due if born[n] > start and pod(n)[0] in scraped)
        after = sorted(scraped[pod(n)[0]][1] - gone[n] for n in list(gone) if pod(n)[0] in scraped)
        print(f"pods due for a scrape: {len(due)}, missed: {len(missed)} {missed[:5]}")
        if late:
            print(f"first scrape after creation: median {late[len(late) // 2]:.1f} s, longest {late[-1]:.1f} s")
        if after:
            print(f"last scrape after deletion: latest {after[-1]:.2f} s")
        return 1 if missed else 0
    finally:
        if agent:
            agent.send_signal(signal.SIGTERM)
            agent.wait(60)
            with open(os.path.join(folder, "log")) as log:
                print(*[line for line in log if "level=INFO" not in line][:10])
        mock.kill()


sys.exit(main())
