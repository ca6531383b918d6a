import Configuration
import HTTPClient
import Logging
import NIOPosix
import TestSupport
import Testing

@testable import Discovery

private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
private let environment = DiscoveryEnvironment(
  client: HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton), log: silent)

private func groups(_ text: String, _ path: String) throws -> [TargetGroup] {
  try TargetFile.parse(Array(text.utf8), path: path)
}

private func addresses(_ groups: [TargetGroup]) -> [String] {
  groups.flatMap { $0.targets.flatMap { $0.map(\.value) } }
}

@Test(arguments: [
  ("f.json", #"[{"targets": ["a:1", "b:1"], "labels": {"x": "\ud83d\ude00", "y": null}}, {"targets": ["c:1"]}]"#),
  ("f.yml", "- targets: ['a:1', 'b:1']\n  labels: {x: \u{1f600}, y: }\n- targets: ['c:1']\n"),
  ("f.YAML", "[{targets: ['a:1', b:1], labels: {x: \u{1f600}, y: ''}}, {targets: [c:1]}]"),
])
func readsTargetGroups(_ path: String, _ text: String) throws {
  let found = try groups(text, path)
  #expect(addresses(found) == ["a:1", "b:1", "c:1"])
  #expect(found.map(\.source) == ["\(path):0", "\(path):1"])
  #expect(found[0].labels.map(\.name) == ["x", "y", "__meta_filepath"])
  #expect(found[0].labels.map(\.value) == ["\u{1f600}", "", path])
}

@Test func anEmptyFileOfYAMLHasNoGroups() throws {
  #expect(try groups("", "f.yml").isEmpty && groups("[]", "f.json").isEmpty)
}

@Test(arguments: [
  ("f.json", "", "not JSON"), ("f.json", "[", "not JSON"), ("f.json", "{}", "expected a list"),
  ("f.json", "[null]", "groups[0]: empty or null entry"), ("f.json", #"["a:1"]"#, "groups[0]: expected a mapping"),
  ("f.json", #"[{"targets": [1]}]"#, "found a number"),
  ("f.json", #"[{"target": []}]"#, "groups[0].target: unknown key"),
  ("f.json", #"[{"targets": "a:1"}]"#, "groups[0].targets: expected a list"),
  ("f.json", #"[{"labels": {"": "x"}}]"#, "a label has no name"), ("f.yml", "a: [", "YAML"),
  ("f.yml", "- targets:\n  - {}", "2:5: groups[0].targets[0]: expected a text"), ("f.yml", "x", "expected a list"),
])
func refusesWhatAreNoTargetGroups(_ path: String, _ text: String, _ reason: String) {
  #expect {
    try groups(text, path)
  } throws: {
    ($0 as? TargetListFault)?.reason.contains(reason) == true
  }
}

/// Damaged files: groups or a fault, never a crash.
@Test(arguments: ["f.json", "f.yml"])
func takesOrRefusesDamagedFiles(_ path: String) {
  let good = Array(#"[{"targets": ["a:1", "b:1"], "labels": {"x": "\u00e9", "y": null}}, {"targets": ["c:1"]}]"#.utf8)
  var random = SeededGenerator(3)
  for _ in 0..<fuzzRounds {
    guard let found = try? TargetFile.parse(mutated(good, with: &random), path: path) else { continue }
    #expect(found.allSatisfy { group in group.labels.allSatisfy { !$0.name.isEmpty } })
  }
}

@Test func givesOnlyWhatHasChanged() {
  let folder = TemporaryDirectory()
  folder.write("a.json", #"[{"targets": ["a:1"]}, {"targets": ["b:1"]}]"#)
  folder.write("c.yml", "- targets: ['c:1']")
  folder.write("d.txt", "nothing")
  var files = TargetFiles(["\(folder.path)/*.json", "\(folder.path)/c.yml", "\(folder.path)/*.yml"], log: silent)
  #expect(addresses(files.changes()) == ["a:1", "b:1", "c:1"])
  #expect(files.changes().isEmpty && files.changes(readingAll: true).isEmpty)

  folder.write("a.json", #"[{"targets": ["a:1"]}, {"targets": ["b:2"]}]"#)
  #expect(addresses(files.changes()) == ["b:2"])
  folder.write("a.json", #"[{"targets": ["a:1"]}]"#)
  let less = files.changes()
  #expect(less.map(\.source) == ["\(folder.path)/a.json:1"] && addresses(less).isEmpty)

  // A bad file, and one that is no file: the groups stay until it is good again, or gone.
  folder.write("a.json", #"[{"targets": ["a:1"#)
  #expect(files.changes().isEmpty)
  folder.delete("a.json")
  folder.makeFIFO("a.json")
  #expect(files.changes().isEmpty)
  folder.delete("a.json")
  #expect(files.changes().map(\.source) == ["\(folder.path)/a.json:0"])
  folder.write("new.json", #"[{"targets": ["n:1"]}]"#)
  #expect(addresses(files.changes()) == ["n:1"])
}

/// What a manager told, to be waited for.
private final class Told: Sendable {
  private let stream = AsyncStream.makeStream(of: [JobTargets].self)

  func tell(_ targets: [JobTargets]) { stream.continuation.yield(targets) }

  func end() { stream.continuation.finish() }

  /// How many targets were told each time from now on, up to the end.
  func counts() async -> [Int] {
    var counts: [Int] = []
    for await jobs in stream.stream { counts.append(jobs.reduce(0) { $0 + $1.active.count }) }
    return counts
  }

  /// Waits until the targets of all jobs are these.
  func wait(for addresses: [String]) async -> Bool {
    for await jobs in stream.stream {
      let found = jobs.flatMap { $0.active.map { String($0.scrapeURL.dropFirst(7).prefix { $0 != "/" }) } }
      if found.sorted() == addresses { return true }
    }
    return false
  }
}

private func jobs(_ yaml: String) throws -> [ScrapeConfiguration] {
  try Configuration.parse(Array("scrape_configs: [\(yaml)]".utf8), file: "p.yml").scrapeConfigs
}

@Test func aManagerFollowsFilesAndReloads() async throws {
  let folder = TemporaryDirectory()
  folder.write("t.json", #"[{"targets": ["a:1"]}]"#)
  let file = "file_sd_configs: [{files: ['\(folder.path)/t.json']"
  let told = Told()
  let manager = DiscoveryManager(settling: .milliseconds(1), environment: environment) { told.tell($0) }
  defer { manager.stop() }
  manager.apply(
    try jobs(
      "{job_name: f, \(file)}]}, {job_name: s, static_configs: [{targets: ['s:1', 's:2']}], "
        + "relabel_configs: [{action: drop, source_labels: [__address__], regex: 's:2'}]}"))
  #expect(await told.wait(for: ["a:1", "s:1"]))
  #expect(manager.dropped().map(\.count) == [0, 1])
  folder.write("t.json", #"[{"targets": ["a:1", "b:1"]}]"#)
  #expect(await told.wait(for: ["a:1", "b:1", "s:1"]))
  // Another configuration of the same job: its targets are never gone meanwhile.
  manager.apply(try jobs("{job_name: f, \(file), refresh_interval: 1h}]}"))
  #expect(await told.wait(for: ["a:1", "b:1"]))
  manager.apply([])
  #expect(await told.wait(for: []))
}

/// A mechanism that is started anew by a reload has nothing at first: the job keeps what it had.
@Test func aReloadLeavesNoGap() async throws {
  let folder = TemporaryDirectory()
  folder.write("t.json", #"[{"targets": ["a:1"]}]"#)
  let told = Told()
  let manager = DiscoveryManager(settling: .zero, environment: environment) { told.tell($0) }
  defer { manager.stop() }
  for minutes in 1...20 {
    manager.apply(
      try jobs("{job_name: f, file_sd_configs: [{files: ['\(folder.path)/t.json'], refresh_interval: \(minutes)m}]}"))
    if minutes == 1 { #expect(await told.wait(for: ["a:1"])) }
  }
  // What is told last has the target still, and so has everything before it.
  manager.stop()
  told.end()
  #expect(await told.counts().allSatisfy { $0 == 1 })
}
