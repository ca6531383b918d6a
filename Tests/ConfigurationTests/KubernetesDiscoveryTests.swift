import Testing
import YAML

@testable import Configuration

private func discovery(_ keys: String) throws -> KubernetesDiscoveryConfiguration {
  try configuration(job("kubernetes_sd_configs: [{\(keys)}]")).scrapeConfigs[0].kubernetesDiscoveries[0]
}

@Test func readsKubernetesDiscoveries() throws {
  let plain = try discovery("role: pod")
  #expect(plain == KubernetesDiscoveryConfiguration(role: .pod))
  let full = try discovery(
    "role: endpoints, api_server: 'http://h:1/x', namespaces: {names: [a, b-1]}, attach_metadata: {node: true, "
      + "namespace: yes}, selectors: [{role: pod, label: 'a in (b, c),!d', field: 'spec.nodeName=$(NODE)'}, {role: service}]"
  )
  #expect(full.role == .endpoints && full.server == .url("http://h:1/x") && full.namespaces == ["a", "b-1"])
  #expect(full.attachesNode && full.attachesNamespace && !full.ownNamespace)
  #expect(full.selectors.count == 2 && full.selectors[.pod]?.field == "spec.nodeName=$(NODE)")
  #expect(try discovery("role: node, kubeconfig_file: k").server == .kubeconfig("k"))
  #expect(try discovery("role: node, kubeconfig_file: /k").server == .kubeconfig("/k"))
  #expect(try discovery("role: ingress, namespaces: {own_namespace: true}").ownNamespace)
  #expect(try discovery("role: pod, selectors: [{role: node, label: x}]").selectors[.node]?.label == "x")
}

@Test(arguments: [
  ("role: pod", "api_server: ''"), ("role: service", "kubeconfig_file: ''"), ("role: node", "namespaces: "),
  ("role: endpointslice", "selectors: [{role: endpointslice}, {role: pod}, {role: service}]"),
  ("role: pod", "api_server: 'https://h', tls_config: {insecure_skip_verify: true}, bearer_token: t"),
])
func takesKubernetesDiscoveries(_ role: String, _ keys: String) throws {
  #expect(throws: Never.self) { try discovery("\(role), \(keys)") }
}

@Test(arguments: [
  ("{}", "role", "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)"),
  ("{role: vacation}", "role", "unknown Kubernetes SD role \"vacation\""),
  ("{role: pod, rolle: x}", "rolle", "unknown key, did you mean role?"),
  ("{role: pod, api_server: x}", "api_server", "invalid URL"),
  (
    "{role: pod, kubeconfig_file: a, api_server: 'http://b'}", "kubeconfig_file",
    "cannot use 'kubeconfig_file' and 'api_server' simultaneously"
  ),
  (
    "{role: pod, bearer_token: a}", "api_server",
    "to use custom HTTP client configuration please provide the 'api_server' URL explicitly"
  ),
  (
    "{role: pod, kubeconfig_file: a, bearer_token: a}", "kubeconfig_file",
    "cannot use a custom HTTP client configuration together with 'kubeconfig_file'"
  ),
  (
    "{role: pod, api_server: 'http://b', namespaces: {own_namespace: true}}", "api_server",
    "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously"
  ),
  (
    "{role: pod, kubeconfig_file: a, namespaces: {own_namespace: true}}", "kubeconfig_file",
    "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously"
  ),
  ("{role: pod, namespaces: {foo: [a]}}", "namespaces.foo", "unknown key"),
  ("{role: pod, namespaces: {names: [A/b]}}", "namespaces.names[0]", "is not a name of a namespace"),
  ("{role: pod, selectors: [{role: pod}, {role: pod}]}", "selectors[1].role", "duplicated selector role: pod"),
  ("{role: pod, selectors: [{role: service}]}", "selectors[0].role", "pod role supports only pod, node selectors"),
  ("{role: node, selectors: [{label: a}]}", "selectors[0].role", "node role supports only node selectors"),
  (
    "{role: endpoints, selectors: [{role: node}]}", "selectors[0].role",
    "endpoints role supports only pod, service, endpoints selectors"
  ),
  (
    "{role: pod, selectors: [{role: pod, field: metadata.status-Running}]}", "selectors[0].field",
    "invalid selector: 'metadata.status-Running'; can't understand 'metadata.status-Running'"
  ),
  ("{role: pod, selectors: [{role: pod, label: a in b}]}", "selectors[0].label", "unable to parse requirement"),
])
func refusesKubernetesDiscoveries(_ text: String, _ path: String, _ reason: String) {
  let faults = problems(job("kubernetes_sd_configs: [\(text)]"))
  #expect(faults.count == 1, "\(faults)")
  #expect(faults.first?.path == "scrape_configs[0].kubernetes_sd_configs[0].\(path)")
  #expect(faults.first?.reason.contains(reason) == true, "\(faults)")
}

@Test(arguments: [
  "", "a", "!a", "a=b", "a==b", "a!=b", "a=", "a in (b)", "a notin (b, c)", "a in (b,)", "x.y/z-1=Q_2.c", "a>1", "a<2",
  "a,b,!c", " a = b , c ",
])
func takesLabelSelectors(_ selector: String) { #expect(KubernetesSelectors.fault(ofLabel: selector) == nil) }

@Test(arguments: [
  ",", "=b", "a b", "a in b", "a in (b", "a in (b c)", "a=b=c", "!a=b", "a>x", "-a", "a=-b", "A_B/c", "a/b/c", "a,",
  "a=b c", "é", String(repeating: "a", count: 64), "a in (", "(", ")",
])
func refusesLabelSelectors(_ selector: String) { #expect(KubernetesSelectors.fault(ofLabel: selector) != nil) }

@Test(arguments: ["", "a=b", "a.b!=c,d==e", "a=", "a=x\\,y", "a=x\\=y", "a=$(NODE_NAME)", "a=${N}", "a=b,"])
func takesFieldSelectors(_ selector: String) { #expect(KubernetesSelectors.fault(ofField: selector) == nil) }

@Test(arguments: ["a", "a=b,c", "=b", "a=b=c", "a=b\\c", "a=b\\"])
func refusesFieldSelectors(_ selector: String) { #expect(KubernetesSelectors.fault(ofField: selector) != nil) }
