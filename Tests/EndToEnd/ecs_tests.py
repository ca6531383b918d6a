"""ECS: the containers of a task by its metadata endpoint, a configuration in the environment, health checks."""
import json
import os
import signal
import socket
import subprocess
import urllib.error

from aws_tests import Server
from parts import PILOTFISH, free_port, get, process, query, until

VARIABLE = "PILOTFISH_CONFIG_CONTENT"
TASK = {
    "Cluster": "c", "TaskARN": "arn:aws:ecs:eu-west-1:111122223333:task/c/t1", "Family": "web", "Revision": "7",
    "LaunchType": "FARGATE", "Limits": {"CPU": 0.25, "Memory": 512},
    "Containers": [
        {"DockerId": "t1-1", "Name": "init", "DockerName": "init", "Image": "alpine", "KnownStatus": "STOPPED"},
        {"DockerId": "t1-2", "Name": "app", "DockerName": "app", "Image": "app:1", "Labels": {"team": "x"},
         "Limits": {"CPU": 2}, "Networks": [{"NetworkMode": "awsvpc"}]},
        {"DockerId": "t1-3", "Name": "pilotfish", "DockerName": "pilotfish", "Image": "pilotfish:1",
         "Limits": {"CPU": 2, "Memory": 64}, "Networks": [{"NetworkMode": "awsvpc"}]}]}
LABELS = ('container_label_com_amazonaws_ecs_cluster="c",container_label_com_amazonaws_ecs_container_name="%s",'
          'container_label_com_amazonaws_ecs_task_arn="arn:aws:ecs:eu-west-1:111122223333:task/c/t1",'
          'container_label_com_amazonaws_ecs_task_definition_family="web",'
          'container_label_com_amazonaws_ecs_task_definition_version="7",container_label_team="%s"')


class TaskMetadata(Server):
    """The endpoint of a task whose containers have used more with each answer."""

    def __init__(self):
        super().__init__(self.answer)
        self.asked, self.failing = {}, set()

    def answer(self, method, path, headers, body):
        path = path.removeprefix("/v4/x")
        count = self.asked[path] = self.asked.get(path, 0) + 1
        if path in self.failing:
            return 500, json.dumps("unable to get the task")
        if path == "/task":
            return 200, json.dumps(TASK)
        assert path == "/task/stats", path
        used = {"cpu_stats": {"cpu_usage": {"total_usage": count * 1_000_000_000}},
                "memory_stats": {"usage": 1000, "stats": {"file": 300, "inactive_file": 100}},
                "networks": {"eth1": {"rx_bytes": count * 1000, "tx_bytes": count * 10}}}
        return 200, json.dumps({"t1-1": None, "t1-2": used, "t1-3": used})


def in_task(metadata, *command, **variables):
    variables = {"ECS_CONTAINER_METADATA_URI_V4": f"{metadata.url}/v4/x", **variables}
    return ["env", *(f"{name}={value}" for name, value in variables.items()), *command]


def test_ecs_container_metrics(folder):
    port, log = free_port(), os.path.join(folder.path, "exporter.log")
    url = f"http://127.0.0.1:{port}/metrics/cadvisor"
    with TaskMetadata() as metadata:
        command = [PILOTFISH, f"--web.listen-address=127.0.0.1:{port}", "--container.ecs-exporter-names"]
        with process(in_task(metadata, *command), log, f"http://127.0.0.1:{port}/-/healthy"):
            page = get(url)
            lines = page.splitlines()
            app = "{" + LABELS % ("app", "x") + ',%sid="/ecs/t1/t1-2",image="app:1",name="app"}'
            for line in (
                    "container_cpu_usage_seconds_total" + app % 'cpu="total",' + " 1",
                    "container_memory_working_set_bytes" + app % "" + " 900",
                    "container_memory_cache" + app % "" + " 300",
                    "container_spec_memory_limit_bytes" + app % "" + " 5.36870912e+08",
                    'ecs_container_cpu_usage_seconds_total{container_name="app"} 1',
                    'ecs_network_receive_bytes_total{interface="eth1"} 1000', "container_scrape_error 0"):
                assert line in lines, (line, page)
            # The network is the task's, once; what has stopped is not there.
            network = [line for line in lines if line.startswith("container_network_receive_bytes_total{")]
            assert len(network) == 1 and 'id="/ecs/t1",image="",interface="eth1",name=""} 1000' in network[0], network
            assert "t1-1" not in page and "alpine" not in page
            assert metadata.asked == {"/task": 1, "/task/stats": 1}, metadata.asked
            assert "container_" in get(url, headers={"Accept": "application/openmetrics-text"})

            metadata.failing = {"/task/stats"}
            lines = get(url).splitlines()
            assert "container_scrape_error 1" in lines and "ecs_task_cpu_limit_vcpus 0.25" in lines
            assert 'pilotfish_ecs_metadata_failures_total{endpoint="/task/stats"} 1' in lines
            assert not any("app:1" in line for line in lines)
            # What the task is was known before.
            metadata.failing = {"/task"}
            lines = get(url).splitlines()
            assert any(line.startswith("container_memory_usage_bytes") and "app:1" in line for line in lines)
            assert 'pilotfish_ecs_metadata_failures_total{endpoint="/task"} 1' in lines
            metadata.failing = set()
            assert "container_scrape_error 0" in get(url).splitlines()
        with open(log) as f:
            text = f.read()
        assert "unable to get the task" in text and "answers again" in text, text

    with folder.exporter(port):
        try:
            raise AssertionError(get(url))
        except urllib.error.HTTPError as e:
            assert e.code == 404 and b"ECS_CONTAINER_METADATA_URI_V4" in e.read()


def test_ecs_agent(folder):
    """The configuration comes from the environment, and the agent's own containers go to the receiver."""
    receiver, port, log = free_port(), free_port(), os.path.join(folder.path, "agent.log")
    config = (
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs:\n- job_name: containers\n  metrics_path: /metrics/cadvisor\n"
        f"  extra_scrape_metrics: true\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        f"remote_write:\n- url: http://127.0.0.1:{receiver}/api/v1/write\n"
        "  queue_config: {batch_send_deadline: 300ms}\n")
    command = [PILOTFISH, "agent", f"--storage.agent.path={folder.path}/log",
               f"--web.listen-address=127.0.0.1:{port}", "--web.enable-lifecycle"]
    with TaskMetadata() as metadata, folder.prometheus(receiver):
        with process(
                in_task(metadata, *command, **{VARIABLE: config}), log, f"http://127.0.0.1:{port}/-/ready") as agent:
            series = 'container_cpu_usage_seconds_total{name="app"}'
            found = until("samples of the containers", lambda: query(receiver, series))[0]["metric"]
            assert found["container_label_team"] == "x" and found["job"] == "containers", found
            until("counters that grow", lambda: query(receiver, f"increase({series}[1m]) > 2"))
            assert query(receiver, "scrape_samples_scraped{job='containers'} > 20")
            # In process there is no body.
            until("extra metrics", lambda: query(receiver, "scrape_body_size_bytes{job='containers'} == 0"))
            assert "metrics_path: /metrics/cadvisor" in get(f"http://127.0.0.1:{port}/config")
            agent.send_signal(signal.SIGHUP)
            until("a reload", lambda: "is as it was at the start" in open(log).read())
            assert "config_last_reload_successful 1" in get(f"http://127.0.0.1:{port}/metrics")


def test_ecs_configuration_in_the_environment(folder):
    def run(content, *flags):
        port = free_port()
        result = subprocess.run(
            ["env", f"{VARIABLE}={content}", PILOTFISH, "agent", f"--web.listen-address=127.0.0.1:{port}",
             f"--storage.agent.path={folder.path}/log", *flags], cwd=folder.path, capture_output=True, text=True,
            timeout=60)
        assert result.returncode == 1, result
        return result.stderr

    text = run("global:\n  scrape_intervall: 1s\nscrape_configs: 7\n")
    assert f"{VARIABLE}:2:3: " in text and f"{VARIABLE}:3:17: " in text, text
    # A file that is named goes before it, and an empty variable is none.
    assert "nope.yml" in run("scrape_configs: []", "--config.file=nope.yml")
    assert "prometheus.yml:1:1: " in run("")
    # Paths count from the working folder.
    folder.file("jobs.yml", "\nx: 1\n")
    assert "jobs.yml:2:1: " in run("scrape_config_files: [jobs.yml]")


def healthcheck(*arguments):
    result = subprocess.run([PILOTFISH, "healthcheck", *arguments], capture_output=True, text=True, timeout=60)
    assert (result.stdout + result.stderr).count("\n") == 1, result
    return result.returncode, result.stdout + result.stderr


def test_ecs_healthcheck(folder):
    port = free_port()
    url = f"http://127.0.0.1:{port}/-/healthy"
    with folder.exporter(port):
        assert healthcheck(f"--url={url}") == (0, f"healthy: {url}: status 200\n")
        code, text = healthcheck(f"--url=http://127.0.0.1:{port}/nowhere")
        assert code == 1 and "status 404" in text, text
    code, text = healthcheck(f"--url={url}", "--timeout=2s")
    assert code == 1 and "connection refused" in text, text
    code, text = healthcheck("--nope")
    assert code == 1 and "--nope" in text, text

    # One that takes connections and says nothing is not well.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, text = healthcheck(f"--url=http://127.0.0.1:{silent.getsockname()[1]}/", "--timeout=500ms")
        assert code == 1 and "deadline exceeded" in text, text

    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{folder.path}/key", "-out",
         f"{folder.path}/cert", "-subj", "/CN=elsewhere", "-days", "1"], check=True, capture_output=True)
    web = folder.file(
        "web.yml", f"tls_server_config: {{cert_file: {folder.path}/cert, key_file: {folder.path}/key}}\n"
        "basic_auth_users: {a: $2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW}\n")
    command = [PILOTFISH, f"--web.listen-address=127.0.0.1:{port}", f"--web.config.file={web}"]
    with process(command, os.path.join(folder.path, "exporter.log")):
        secure = url.replace("http:", "https:")
        until("TLS", lambda: healthcheck(f"--url={secure}") == (0, f"healthy: {secure}: status 401\n"))
