"""kubernetes_sd_configs: an API server of the tests' own, whose objects become targets."""
import http.server
import json
import os
import ssl
import threading
import urllib.parse

from parts import Target, free_port, get, until
from web_tests import Certificates


class APIServer:
    """Lists and watches objects; each change has a version, and a watch goes on from one."""

    def __init__(self, port=0, context=None, token=None):
        self.lock = threading.Condition()
        self.objects, self.history, self.version, self.oldest = {}, [], 10, 0
        self.requests, self.token, self.is_closed = [], token, False
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                with api.lock:
                    api.requests.append((url.path, query))
                if api.token and self.headers.get("Authorization") != f"Bearer {api.token}":
                    return self.answer(401, {"code": 401, "message": "Unauthorized"})
                if url.path.endswith(("/metrics", "/cadvisor")):
                    return self.answer(200, b"# TYPE proxied gauge\nproxied 1\n")
                resource = url.path.rsplit("/", 1)[1]
                return self.watch(resource, query) if query.get("watch") else self.list(resource, query)

            def answer(self, status, body):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def list(self, resource, query):
                with api.lock:
                    found = [o for (r, _, _), o in sorted(api.objects.items()) if r == resource]
                    version = api.version
                selector = query.get("fieldSelector", "")
                if selector.startswith("spec.nodeName="):
                    found = [o for o in found if o["spec"].get("nodeName") == selector[len("spec.nodeName="):]]
                self.answer(200, {"metadata": {"resourceVersion": str(version)}, "items": found})

            def watch(self, resource, query):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                at = int(query["resourceVersion"])
                if at < api.oldest:
                    self.line({"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}})
                    self.wfile.write(b"0\r\n\r\n")
                    return
                while True:
                    with api.lock:
                        new = [e for e in api.history if e[0] > at]
                        if not new:
                            api.lock.wait(1)
                        if api.is_closed:
                            self.close_connection = True
                            return
                    for version, kind, event in new:
                        at = version
                        if kind == resource:
                            self.line(event)

            def line(self, event):
                data = json.dumps(event).encode() + b"\n"
                try:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                except OSError:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, resource, name, namespace="shop", metadata={}, **rest):
        with self.lock:
            key, self.version = (resource, namespace, name), self.version + 1
            event = "MODIFIED" if key in self.objects else "ADDED"
            self.objects[key] = {"metadata": {"name": name, "namespace": namespace, "uid": name,
                                              "resourceVersion": str(self.version), **metadata}, **rest}
            self.history.append((self.version, resource, {"type": event, "object": self.objects[key]}))
            self.lock.notify_all()

    def pod(self, name, port, node="n1", **metadata):
        self.put("pods", name, metadata=metadata, spec={
            "nodeName": node, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": port}]}]},
            status={"podIP": "127.0.0.1", "phase": "Running"})

    def delete(self, resource, name, namespace="shop"):
        with self.lock:
            self.version += 1
            gone = self.objects.pop((resource, namespace, name))
            self.history.append((self.version, resource, {"type": "DELETED", "object": gone}))
            self.lock.notify_all()

    def close(self):
        with self.lock:
            self.is_closed = True
            self.lock.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def lists(self, resource):
        with self.lock:
            return [q for path, q in self.requests if path.endswith(resource) and "watch" not in q]


def job(name, port, keys="", more="", scheme="http"):
    return (f"- job_name: {name}\n  kubernetes_sd_configs:\n"
            f"  - {{api_server: '{scheme}://127.0.0.1:{port}', {keys}}}\n{more}")


def config(*jobs):
    return "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" + "".join(jobs)


def active(port):
    targets = json.loads(get(f"http://127.0.0.1:{port}/api/v1/targets"))["data"]["activeTargets"]
    return {t["labels"].get("pod", t["labels"]["instance"]): t["health"] for t in targets}


RULES = """  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_label_skip], action: drop, regex: 'yes'}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
"""


def test_pods_become_targets(folder):
    """Pods come, change and go; two jobs ask once; a job with a field selector names its node by a variable."""
    api, port = APIServer(), free_port()
    os.environ["TEST_NODE"] = "n2"
    own = "role: pod, selectors: [{role: pod, field: 'spec.nodeName=$(TEST_NODE)'}]"
    with Target() as target, Target() as other:
        api.pod("one", target.port)
        api.pod("other-node", target.port, node="n2")
        text = config(job("a", api.port, "role: pod", RULES), job("b", api.port, "role: pod", RULES),
                      job("own", api.port, own, RULES))
        with folder.agent(port, text):
            until("the pods are scraped", lambda: active(port) == {"one": "up", "other-node": "up"})
            # The list is shared, but for the job that chooses.
            assert [q.get("fieldSelector") for q in api.lists("/pods")].count(None) == 1, api.requests
            assert len(api.lists("/pods")) == 2, api.requests
            api.pod("two", other.port)
            until("a new pod is scraped", lambda: active(port).get("two") == "up" and other.count > 0)
            api.pod("two", other.port, labels={"skip": "yes"})
            until("a pod that the rules drop is not", lambda: "two" not in active(port))
            api.delete("pods", "one")
            until("a pod that is gone is not", lambda: set(active(port)) == {"other-node"})
            assert len(api.lists("/pods")) == 2, api.requests


def test_targets_outlive_the_api_server(folder):
    """The API server goes: targets stay. It comes back with another history: what is there now counts."""
    api, port = APIServer(), free_port()
    with Target() as target:
        api.pod("one", target.port)
        with folder.agent(port, config(job("a", api.port, "role: pod", RULES))):
            until("the pod is scraped", lambda: active(port) == {"one": "up"})
            api.close()
            before = target.count
            until("scrapes go on", lambda: target.count > before + 3)
            assert active(port) == {"one": "up"}
            new = APIServer(api.port)
            new.version = new.oldest = 1000
            new.pod("two", target.port)
            until("what is there now counts", lambda: active(port) == {"two": "up"})
            metrics = get(f"http://127.0.0.1:{port}/metrics")
            assert "prometheus_sd_kubernetes_failures_total 0\n" not in metrics
            # A back-off lies between tries.
            assert len(new.requests) < 20, new.requests


def test_api_server_with_tls_and_a_token(folder):
    """https with a CA of its own, a token that changes, and nodes whose kubelets are asked through the API server."""
    certificates = Certificates(folder)
    certificates.make("api", "IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder.path, "api.pem"), os.path.join(folder.path, "api.key"))
    api, port = APIServer(context=context, token="first"), free_port()
    api.put("nodes", "n1", namespace="", status={"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
                                                 "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}})
    token = folder.file("token", "first\n")
    access = f"tls_config: {{ca_file: {folder.path}/ca.pem}}, authorization: {{credentials_file: {token}}}"
    proxy = f"""  scheme: https
  tls_config: {{ca_file: {folder.path}/ca.pem}}
  authorization: {{credentials_file: {token}}}
  relabel_configs:
  - {{target_label: __address__, replacement: '127.0.0.1:{api.port}'}}
  - source_labels: [__meta_kubernetes_node_name]
    target_label: __metrics_path__
    replacement: /api/v1/nodes/$1/proxy/metrics/cadvisor
"""
    with folder.agent(port, config(job("cadvisor", api.port, f"role: node, {access}", proxy, "https"))):
        until("the kubelet is scraped through the API server", lambda: active(port) == {"n1": "up"})
        assert any(path == "/api/v1/nodes/n1/proxy/metrics/cadvisor" for path, _ in api.requests)
        api.token = "second"
        folder.file("token", "second\n")
        api.put("nodes", "n2", namespace="", status={"addresses": [{"type": "InternalIP", "address": "192.0.2.2"}],
                                                     "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}})
        until("the new token is used", lambda: active(port) == {"n1": "up", "n2": "up"})
