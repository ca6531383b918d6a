#!/usr/bin/env python3
"""What scraping one large body costs: resident memory at its highest, and CPU per scrape.

usage: federation.py [--series 500000] [--scrapes 6] [--gzip] NAME=COMMAND ...

A static target answers a body as Prometheus' /federate writes it; each command scrapes it every 15 seconds, one after
the other. In a command {config} is a prometheus.yml, {port} a free port, {data} an empty folder:

    federation.py 'pilotfish=.build/release/pilotfish agent --config.file={config} --web.listen-address=127.0.0.1:{port}
      --storage.agent.path={data}'
    federation.py 'prometheus=prometheus --agent --config.file={config} --web.listen-address=127.0.0.1:{port}
      --storage.agent.path={data}'
    federation.py 'vmagent=vmagent -promscrape.config={config} -promscrape.config.strictParse=false
      -httpListenAddr=127.0.0.1:{port} -remoteWrite.tmpDataPath={data} -promscrape.maxScrapeSize=1GB
      -remoteWrite.url=http://127.0.0.1:{sink}/'
"""
import argparse
import gzip
import http.server
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from agent_parts import TICK, free_port

NAMES = 250


def body(series):
    lines = []
    for n in range(series):
        if n % NAMES == 0:
            lines.append(f"# TYPE federated_metric_{n // NAMES:05d}_total untyped\n")
        k = n % NAMES
        lines.append(f'federated_metric_{n // NAMES:05d}_total{{instance="host-{k:04d}.example.net:9100",job="node",'
                     f'cluster="eu-west-1",device="eth{k % 8}",mode="m{k % 5}",prometheus="monitoring/k8s"}} '
                     f'{n * 7919 % 100000 / 8}\n')
    return "".join(lines).encode()


class Target:
    """Answers the body to GET, and 204 to whoever writes."""

    def __init__(self, text, packed):
        target, self.scrapes = self, 0
        text = gzip.compress(text, 1) if packed else text

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                if packed:
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                target.scrapes += 1

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def figures(pid):
    with open(f"/proc/{pid}/status") as f:
        status = f.read()
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(") ", 1)[1].split()
    def memory(key): return int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024
    return memory("VmHWM"), memory("VmRSS"), (int(fields[11]) + int(fields[12])) / TICK


def measure(name, command, target, scrapes):
    folder = tempfile.mkdtemp(prefix="federation.")
    config = os.path.join(folder, "prometheus.yml")
    with open(config, "w") as f:
        f.write("global: {scrape_interval: 15s, scrape_timeout: 14s}\nscrape_configs:\n- job_name: federate\n"
                f"  honor_labels: true\n  metrics_path: /federate\n  static_configs: [{{targets: ['127.0.0.1:{target.port}']}}]\n")
    line = command.format(config=config, port=free_port(), data=f"{folder}/data", sink=target.port)
    with open(os.path.join(folder, "log"), "wb") as log:
        child = subprocess.Popen(line.split(), stdout=log, stderr=subprocess.STDOUT)
    try:
        first = target.scrapes + 1
        while target.scrapes < first:
            assert child.poll() is None, f"{name} ended: {folder}/log"
            time.sleep(0.2)
        time.sleep(6)
        _, _, before = figures(child.pid)
        start = target.scrapes
        while target.scrapes < start + scrapes:
            time.sleep(0.2)
        time.sleep(6)
        peak, resident, cpu = figures(child.pid)
        print(f"{name}: resident at most {peak:.0f} MiB, now {resident:.0f} MiB; the first scrape {before:.2f} s of CPU, "
              f"each of the next {(cpu - before) / (target.scrapes - start):.2f} s", flush=True)
    finally:
        child.terminate()
        child.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=500_000)
    parser.add_argument("--scrapes", type=int, default=6)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("commands", nargs="+", metavar="NAME=COMMAND")
    arguments = parser.parse_args()
    text = body(arguments.series)
    print(f"{arguments.series} series, {len(text) / 1e6:.1f} MB", flush=True)
    target = Target(text, arguments.gzip)
    for command in arguments.commands:
        name, line = command.split("=", 1)
        measure(name, line, target, arguments.scrapes)


if __name__ == "__main__":
    main()
