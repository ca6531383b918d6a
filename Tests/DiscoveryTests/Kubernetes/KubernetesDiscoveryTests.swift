import Bytes
import Configuration
import Exposition
import HTTPClient
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import Discovery

/// What a mechanism has published.
private final class Publications: Sendable {
  struct State {
    var groups: [String: TargetGroup] = [:]
    /// The sources of each publication.
    var all: [[String]] = []
  }

  let state = Mutex(State())

  func take(_ groups: [TargetGroup]) {
    state.withLock { state in
      state.all.append(groups.map(\.source).sorted())
      for group in groups { state.groups[group.source] = group.targets.isEmpty ? nil : group }
    }
  }

  var sources: [String] { state.withLock { $0.groups.keys.sorted() } }
  var all: [[String]] { state.withLock { $0.all } }

  func label(_ name: String, of source: String) -> String? {
    state.withLock { state in
      let group = state.groups[source]
      return ((group?.targets.first ?? []) + (group?.labels ?? [])).first { $0.name == name }?.value
    }
  }
}

/// A cluster, and what asks it.
private struct Cluster {
  let server: FakeAPIServer
  let environment = DiscoveryEnvironment(
    client: HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton),
    log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })

  init() async throws { server = try await FakeAPIServer() }

  func configuration(_ role: KubernetesDiscoveryConfiguration.Role) -> KubernetesDiscoveryConfiguration {
    var configuration = KubernetesDiscoveryConfiguration(role: role)
    configuration.server = .url(server.url)
    return configuration
  }

  /// Runs discoveries while the body does.
  func run(
    _ configurations: KubernetesDiscoveryConfiguration..., body: ([Publications]) async throws -> Void
  ) async throws {
    let publications = configurations.map { _ in Publications() }
    let tasks = zip(configurations, publications).map { configuration, publications in
      Task { [environment] in
        await KubernetesDiscovery(configuration, environment).run { publications.take($0) }
      }
    }
    defer { for task in tasks { task.cancel() } }
    try await body(publications)
  }

  func count(_ name: String) -> Double {
    let writer = MetricWriter()
    environment.metrics.write(to: writer)
    var output = ByteWriter(capacity: 1 << 10)
    TextExposition().render([writer], as: .text, into: &output)
    let text = output.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    let line = text.split(separator: "\n").first { $0.hasPrefix("\(name) ") }
    return line.flatMap { Double($0.split(separator: " ")[1]) } ?? -1
  }
}

/// Waits until something is so; a test that waits in vain ends by its time limit.
private func until(_ condition: () -> Bool) async throws {
  while !condition() { try await Task.sleep(for: .milliseconds(5)) }
}

@Suite(.timeLimit(.minutes(2)))
struct KubernetesDiscoveryTests {
  @Test func followsPodsAndPublishesOnlyWhatChanges() async throws {
    let cluster = try await Cluster()
    let server = cluster.server
    server.putPod("a", "one", ip: "192.0.2.1")
    server.putPod("b", "two", ip: "192.0.2.2")
    try await cluster.run(cluster.configuration(.pod)) { found in
      let pods = found[0]
      try await until { pods.sources == ["pod/a/one", "pod/b/two"] && server.watchers == 1 }
      // A change that no label shows publishes nothing; the next one shows that it was seen.
      server.putPod("b", "two", ip: "192.0.2.2")
      server.putPod("a", "three", ip: "192.0.2.3")
      try await until { pods.sources.count == 3 }
      server.putPod("a", "one", ip: "192.0.2.9", metadata: #","labels":{"x":"y"}"#)
      try await until { pods.label("__address__", of: "pod/a/one") == "192.0.2.9" }
      #expect(pods.label("__meta_kubernetes_pod_label_x", of: "pod/a/one") == "y")
      server.delete("pods", "b", "two")
      try await until { pods.sources == ["pod/a/one", "pod/a/three"] }
      #expect(pods.all.dropFirst() == [["pod/a/three"], ["pod/a/one"], ["pod/b/two"]])
      #expect(server.requests.count == 2)
      #expect(server.requests[0].query == ["limit": "500", "resourceVersion": "0"])
      #expect(cluster.count(#"prometheus_sd_kubernetes_events_total{event="add",role="pod"}"#) == 3)
      #expect(cluster.count(#"prometheus_sd_kubernetes_events_total{event="update",role="pod"}"#) == 2)
      #expect(cluster.count("prometheus_sd_kubernetes_failures_total") == 0)
    }
    // Nobody asks any more.
    try await until { cluster.environment.kubernetes.count == 0 && server.watchers == 0 }
  }

  @Test func anEmptyClusterIsPublished() async throws {
    let cluster = try await Cluster()
    try await cluster.run(cluster.configuration(.service)) { found in
      try await until { found[0].all == [[]] }
    }
  }

  @Test func listsInPages() async throws {
    let cluster = try await Cluster()
    for number in 0..<1200 { cluster.server.putPod("a", "p\(number)", ip: "192.0.2.1") }
    try await cluster.run(cluster.configuration(.pod)) { found in
      try await until { found[0].sources.count == 1200 && cluster.server.watchers == 1 }
      #expect(found[0].all.count == 1)
      let requests = cluster.server.requests
      #expect(requests.map { $0.query["continue"] } == [nil, "500", "1000", nil])
      #expect(requests.map { $0.query["resourceVersion"] } == ["0", nil, nil, "1210"])
    }
  }

  @Test func aWatchGoesOnFromTheLastVersion() async throws {
    let cluster = try await Cluster()
    let server = cluster.server
    server.putPod("a", "one", ip: "192.0.2.1")
    try await cluster.run(cluster.configuration(.pod)) { found in
      try await until { server.watchers == 1 }
      // Of another kind: the version moves on without the watch.
      server.put("nodes", "", "n")
      server.sendBookmarks()
      server.endWatches()
      try await until { server.watchers == 1 }
      server.putPod("a", "two", ip: "192.0.2.2")
      try await until { found[0].sources.count == 2 }
      #expect(server.requests.filter(\.isWatch).map { $0.query["resourceVersion"] } == ["11", "12"])
      #expect(server.requests.count { !$0.isWatch } == 1)
    }
  }

  @Test func aForgottenVersionIsListedAnew() async throws {
    let cluster = try await Cluster()
    let server = cluster.server
    server.putPod("a", "one", ip: "192.0.2.1")
    server.putPod("a", "two", ip: "192.0.2.2")
    try await cluster.run(cluster.configuration(.pod)) { found in
      try await until { server.watchers == 1 }
      server.endWatches()
      server.delete("pods", "a", "one")
      server.putPod("a", "three", ip: "192.0.2.3")
      server.compact()
      try await until { found[0].sources == ["pod/a/three", "pod/a/two"] }
      #expect(server.requests.contains { !$0.isWatch && $0.query["resourceVersion"] == nil })
      #expect(found[0].all.flatMap(\.self).count { $0 == "pod/a/two" } == 1)
    }
  }

  @Test(arguments: [
    #"{"type":"ADD"#, "nothing", #"{"type":"NEWS","object":{}}"#, #"{"type":"ADDED","object":[]}"#,
    #"{"type":"ERROR","object":{"code":500,"message":"no"}}"#,
  ])
  func aBrokenWatchIsAskedAgain(_ line: String) async throws {
    let cluster = try await Cluster()
    try await cluster.run(cluster.configuration(.pod)) { found in
      try await until { cluster.server.watchers == 1 }
      cluster.server.sendToWatches(line)
      cluster.server.putPod("a", "one", ip: "192.0.2.1")
      try await until { found[0].sources == ["pod/a/one"] }
      #expect(cluster.count("prometheus_sd_kubernetes_failures_total") == 1)
    }
  }

  @Test(arguments: [
    FakeAPIServer.Answer(status: 403, body: #"{"code":403,"message":"pods is forbidden"}"#),
    .init(status: 500, body: "no JSON"), .init(status: 410), .init(status: 200, body: ""),
    .init(status: 200, body: #"{"metadata":{"resourceVersion":"1"},"items":[{"metadata""#),
    .init(status: 200, body: #"{"items":[]}"#), .init(status: 200, body: "]]"), .init(status: 200, body: "<html>"),
    .init(status: 200, body: #"{"metadata":{"resourceVersion":"1"},"items":{}}"#),
  ])
  func afterAFailedListTheNextCounts(_ answer: FakeAPIServer.Answer) async throws {
    let cluster = try await Cluster()
    cluster.server.answer(lists: [answer])
    cluster.server.putPod("a", "one", ip: "192.0.2.1")
    try await cluster.run(cluster.configuration(.pod)) { found in
      try await until { found[0].sources == ["pod/a/one"] }
      #expect(found[0].all.count == 1)
    }
  }

  @Test func objectsThatCannotBeReadAreLeftOut() async throws {
    let cluster = try await Cluster()
    let items = [
      #"{"metadata":{"name":1}}"#, "{}", "[]", "1", #"{"metadata":{"name":"x"}}"#,
      #"{"metadata":{"name":"good","namespace":"a"},"spec":{"containers":[{}]},"status":{"podIP":"192.0.2.1"}}"#,
    ]
    cluster.server.answer(lists: [
      .init(body: #"{"metadata":{"resourceVersion":"10"},"items":[\#(items.joined(separator: ","))]}"#)
    ])
    try await cluster.run(cluster.configuration(.pod)) { found in
      try await until { found[0].sources == ["pod/a/good"] }
    }
  }

  @Test func jobsShareAWatch() async throws {
    let cluster = try await Cluster()
    cluster.server.putPod("a", "one", ip: "192.0.2.1")
    var attached = cluster.configuration(.pod)
    attached.attachesNode = true
    var selected = cluster.configuration(.pod)
    selected.selectors[.pod] = .init()
    selected.selectors[.pod]?.label = "x=y z"
    try await cluster.run(cluster.configuration(.pod), attached, cluster.configuration(.endpoints), selected) { found in
      try await until { found.allSatisfy { !$0.all.isEmpty } && cluster.server.watchers == 5 }
      let lists = cluster.server.requests.filter { !$0.isWatch }
      #expect(
        lists.map(\.path).sorted().map { $0.split(separator: "/").last } == [
          "endpoints", "nodes", "pods", "pods", "services",
        ])
      #expect(lists.compactMap { $0.query["labelSelector"] } == ["x%3Dy%20z"])
      #expect(cluster.environment.kubernetes.count == 5)
    }
    try await until { cluster.environment.kubernetes.count == 0 }
  }

  @Test func aChangeOfWhatLabelsComeFromPublishesTheGroup() async throws {
    let cluster = try await Cluster()
    let server = cluster.server
    server.put(
      "endpoints", "a", "web",
      #","subsets":[{"addresses":[{"ip":"192.0.2.1","nodeName":"n1","targetRef":{"kind":"Pod","namespace":"a","name":"one"}}],"ports":[{"port":80}]}]"#
    )
    server.put(
      "endpoints", "a", "other", #","subsets":[{"addresses":[{"ip":"192.0.2.2"}],"ports":[{"port":80}]}]"#)
    var configuration = cluster.configuration(.endpoints)
    configuration.attachesNode = true
    configuration.attachesNamespace = true
    try await cluster.run(configuration) { found in
      let web = "endpoints/a/web"
      try await until { found[0].sources == ["endpoints/a/other", web] && server.watchers == 5 }
      server.putPod("a", "one", ip: "192.0.2.1")
      try await until { found[0].label("__meta_kubernetes_pod_name", of: web) == "one" }
      server.put("services", "a", "web", metadata: #","labels":{"s":"1"}"#)
      try await until { found[0].label("__meta_kubernetes_service_label_s", of: web) == "1" }
      server.put("nodes", "", "n1", metadata: #","labels":{"zone":"z"}"#)
      try await until { found[0].label("__meta_kubernetes_node_label_zone", of: web) == "z" }
      #expect(found[0].all.flatMap(\.self).count { $0 == "endpoints/a/other" } == 1)
      server.put("namespaces", "", "a", metadata: #","labels":{"team":"t"}"#)
      try await until { found[0].label("__meta_kubernetes_namespace_label_team", of: "endpoints/a/other") == "t" }
      server.delete("services", "a", "web")
      try await until { found[0].label("__meta_kubernetes_service_label_s", of: web) == nil }
      #expect(server.requests.count == 10)
    }
  }

  @Test func oneNamespaceThatIsForbiddenDoesNotHideTheOthers() async throws {
    let cluster = try await Cluster()
    cluster.server.putPod("a", "one", ip: "192.0.2.1")
    cluster.server.putPod("c", "three", ip: "192.0.2.3")
    var configuration = cluster.configuration(.pod)
    configuration.namespaces = ["a", "b"]
    // Whichever is asked first.
    cluster.server.answer(lists: [.init(status: 403, body: #"{"message":"forbidden"}"#)])
    try await cluster.run(configuration) { found in
      try await until { found[0].sources == ["pod/a/one"] }
      #expect(Set(cluster.server.requests.map(\.path)) == ["/api/v1/namespaces/a/pods", "/api/v1/namespaces/b/pods"])
    }
  }
}

/// Another server takes the place of the first, and another token that of the first; what cannot be read changes nothing.
@Test(.timeLimit(.minutes(2))) func followsAKubeconfig() async throws {
  let (first, second) = (try await Cluster(), try await Cluster())
  first.server.putPod("a", "old", ip: "192.0.2.1")
  first.server.putPod("a", "both", ip: "192.0.2.2")
  second.server.putPod("a", "both", ip: "192.0.2.2")
  let folder = TemporaryDirectory()
  func put(_ cluster: Cluster, _ token: String) {
    folder.write(
      "next",
      """
      current-context: x
      clusters: [{name: c, cluster: {server: '\(cluster.server.url)'}}]
      users: [{name: u, user: {token: \(token)}}]
      contexts: [{name: x, context: {cluster: c, user: u}}]
      """)
    folder.move("next", to: "kubeconfig")
  }
  put(first, "t1")
  var configuration = KubernetesDiscoveryConfiguration(role: .pod)
  configuration.server = .kubeconfig("\(folder.path)/kubeconfig")
  let found = Publications()
  let task = Task { [configuration] in
    await KubernetesDiscovery(configuration, first.environment, fileInterval: .milliseconds(5)).run { found.take($0) }
  }
  defer { task.cancel() }
  try await until { found.sources == ["pod/a/both", "pod/a/old"] }
  #expect(first.server.requests.allSatisfy { $0.authorization == "Bearer t1" })
  folder.write("kubeconfig", "current-context: x")
  put(second, "t2")
  try await until { found.sources == ["pod/a/both"] }
  #expect(second.server.requests.allSatisfy { $0.authorization == "Bearer t2" })
  put(second, "t3")
  try await until { second.server.requests.contains { $0.authorization == "Bearer t3" } }
  second.server.putPod("a", "new", ip: "192.0.2.3")
  try await until { found.sources == ["pod/a/both", "pod/a/new"] }
}
