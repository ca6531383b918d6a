import Bytes
import Configuration
import HTTPClient
import Secrets
import TestSupport
import Testing
import YAML

@testable import Discovery

private let kubeconfig = """
  apiVersion: v1
  current-context: here
  clusters:
  - name: other
    cluster: {server: 'https://other'}
  - name: c
    cluster: {server: 'https://192.0.2.1:6443/k8s/', certificate-authority: ca.pem, tls-server-name: kube}
  contexts:
  - {name: here, context: {cluster: c, user: u, namespace: x}}
  users:
  - {name: u, user: {token: secret}}
  """

private func server(_ text: String) throws -> KubernetesServer {
  try Kubeconfig.server(try YAMLParser.parse(Array(text.utf8)), folder: "/k")
}

@Test func readsKubeconfigs() throws {
  let plain = try server(kubeconfig)
  #expect(plain.url == "https://192.0.2.1:6443/k8s")
  #expect(plain.options.tls.ca == .file("/k/ca.pem") && plain.options.tls.serverName == "kube")
  #expect(plain.options.credentials == .bearer(.text(Secret("secret"))))
  let file = try server(kubeconfig.replacing("token: secret", with: "tokenFile: /t"))
  #expect(file.options.credentials == .bearer(.file("/t")))
  let certificate = try server(
    kubeconfig.replacing("token: secret", with: "client-certificate-data: Q0VSVA==, client-key: key.pem"))
  #expect(certificate.options.tls.certificate == .text(Secret("CERT")))
  #expect(certificate.options.tls.key == .file("/k/key.pem") && certificate.options.credentials == .none)
  let basic = try server(
    kubeconfig.replacing("token: secret", with: "username: a, password: b").replacing(
      "certificate-authority: ca.pem", with: "insecure-skip-tls-verify: true"))
  #expect(basic.options.credentials == .basic(user: .text(Secret("a")), password: .text(Secret("b"))))
  #expect(basic.options.tls.skipsVerification && basic.options.tls.ca == nil)
  let nobody = try server(kubeconfig.replacing("user: u, ", with: ""))
  #expect(nobody.options.credentials == .none)
}

@Test(arguments: [
  ("current-context: here", "x: y", "no current-context"),
  ("current-context: here", "current-context: b", "contexts has no \"b\""),
  ("cluster: c,", "cluster: d,", "clusters has no \"d\""), ("user: u,", "user: v,", "users has no \"v\""),
  ("https://192.0.2.1:6443/k8s/", "", "has no server"), ("https://192.0.2.1:6443/k8s/", "ftp://x", "invalid URL"),
  ("token: secret", "exec: {command: aws}", "gets its credentials by exec"),
  ("token: secret", "auth-provider: {name: gcp}", "gets its credentials by auth-provider"),
  ("token: secret", "client-key: x", "a client certificate needs its key"),
  ("token: secret", "client-key-data: '*', client-certificate: x", "client-key-data is no base64"),
  ("tls-server-name: kube", "proxy-url: 'http://p'", "proxy-url is not served"),
])
func refusesKubeconfigs(_ part: String, _ other: String, _ reason: String) {
  #expect {
    try server(kubeconfig.replacing(part, with: other))
  } throws: {
    "\($0)".contains(reason)
  }
}

/// Damaged files: a server or a fault, never a crash.
@Test func takesOrRefusesDamagedKubeconfigs() {
  var random = SeededGenerator(17)
  for _ in 0..<fuzzRounds {
    let bytes = mutated(Array(kubeconfig.utf8), with: &random)
    guard let root = try? YAMLParser.parse(bytes) else { continue }
    _ = try? Kubeconfig.server(root, folder: "/k")
  }
}

@Test func aPodKnowsItsCluster() throws {
  let folder = TemporaryDirectory()
  let variables = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "NODE_NAME": "n1"]
  let pod = PodEnvironment(folder: folder.path) { variables[$0] }
  #expect(throws: KubernetesSetupFault.self) { try pod.server() }
  #expect(throws: KubernetesSetupFault.self) { try pod.namespace() }
  folder.write("token", "t")
  let server = try pod.server()
  #expect(server.url == "https://[fd00::1]:443" && server.options.tls.ca == nil)
  #expect(server.options.credentials == .bearer(.file("\(folder.path)/token")))
  folder.write("ca.crt", "c")
  folder.write("namespace", "shop\n")
  #expect(try pod.server().options.tls.ca == .file("\(folder.path)/ca.crt") && pod.namespace() == "shop")
  #expect(throws: KubernetesSetupFault.self) { try PodEnvironment(folder: folder.path) { _ in nil }.server() }

  var configuration = KubernetesDiscoveryConfiguration(role: .pod)
  configuration.ownNamespace = true
  configuration.namespaces = ["b", "shop", "b"]
  configuration.selectors[.pod] = .init()
  configuration.selectors[.pod]?.field = "spec.nodeName=$(NODE_NAME),a!=${NODE_NAME},$x=$"
  let source = try KubernetesSource(configuration, pod)
  #expect(source.namespaces == ["b", "shop"])
  let query = source.query(.pods, "b")
  #expect(query.fieldSelector == "spec.nodeName=n1,a!=n1,$x=$" && query.path == "/api/v1/namespaces/b/pods")
  #expect(source.query(.nodes, "b").path == "/api/v1/nodes")
  configuration.selectors[.pod]?.field = "spec.nodeName=$(NOBODY)"
  #expect {
    try KubernetesSource(configuration, pod)
  } throws: {
    "\($0)".contains("needs the environment variable NOBODY")
  }
}

// MARK: Streams

/// The pieces that a list or a watch gives when it comes in parts of random length.
private func pieces(_ text: [UInt8], list: ListCutter?, lines: LineCutter?, _ random: inout SeededGenerator)
  -> [String]?
{
  var found: [String] = []
  var start = 0
  while start < text.count {
    let end = min(start + Int.random(in: 1...40, using: &random), text.count)
    let part = Array(text[start..<end])
    if let list {
      guard (try? list.take(part.span.bytes) { found.append(String(utf8: $0)) }) != nil else { return nil }
    }
    lines?.take(part.span.bytes) { found.append(String(utf8: $0)) }
    start = end
  }
  return found
}

private let items = [
  #"{"a":"]}\"\\"}"#, "{}", #"{"items":[{"x":[]}],"n":1}"#, "[1]", #"{"text":"\#(String(repeating: "é", count: 60))"}"#,
]

@Test func aListIsCutIntoItsItems() throws {
  var random = SeededGenerator(2)
  let text =
    #"{"kind":"L","metadata":{"x":["items"],"resourceVersion":"5","continue":"c\""}, "items" : [ \#(items.joined(separator: " ,\n")) ] ,"z":[{}]}"#
  for _ in 0..<50 {
    let list = ListCutter()
    #expect(pieces(Array(text.utf8), list: list, lines: nil, &random) == items)
    let head = try ListHead(list.head.span.bytes)
    #expect(head.resourceVersion == "5" && head.continuation == "c\"")
  }
}

@Test func aWatchIsCutIntoItsLines() {
  var random = SeededGenerator(3)
  let text = items.joined(separator: "\n") + "\n\nrest"
  for _ in 0..<50 {
    #expect(pieces(Array(text.utf8), list: nil, lines: LineCutter(), &random) == items + [""])
  }
}

@Test func anItemThatIsTooLongIsLeftOut() throws {
  let list = ListCutter()
  var found: [Int] = []
  let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
  try list.take(Array(#"{"items":[{},{"a":""#.utf8).span.bytes) { found.append($0.byteCount) }
  for _ in 0..<9 { try list.take(chunk.span.bytes) { found.append($0.byteCount) } }
  try list.take(Array(#""},{"b":1}]}"#.utf8).span.bytes) { found.append($0.byteCount) }
  #expect(found == [2, 7] && list.tooLong == 1)
  let lines = LineCutter()
  for _ in 0..<9 { lines.take(chunk.span.bytes) { _ in Issue.record("no line has ended") } }
  lines.take(Array("\n{}\n".utf8).span.bytes) { found.append($0.byteCount) }
  #expect(found == [2, 7, 0, 2])
  // What is no list is not kept without end.
  #expect(throws: StreamFault.self) {
    let page = ListCutter()
    for _ in 0..<3 { try page.take(chunk.span.bytes) { _ in } }
  }
}

/// Damaged lists and watches: objects or a fault, never a crash.
@Test func takesOrRefusesDamagedAnswers() {
  let list = Array((#"{"metadata":{"resourceVersion":"5"},"items":[\#(podText),\#(podText)]}"#).utf8)
  let watch = Array(
    (#"{"type":"ADDED","object":\#(podText.replacing("\n", with: ""))}"# + "\n"
      + #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8"}}}"# + "\n").utf8)
  var random = SeededGenerator(21)
  for _ in 0..<fuzzRounds {
    var store = ObjectStore<Pod>()
    store.beginList()
    store.beginPage()
    _ = store.takeListPart(.init(bytes: mutated(list, with: &random)))
    _ = try? store.endPage()
    _ = store.endList()
    store.beginWatch()
    _ = store.takeWatchPart(.init(bytes: mutated(watch, with: &random)))
    #expect(store.references.count <= 3)
  }
}
