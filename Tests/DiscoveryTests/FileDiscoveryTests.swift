import Configuration
import TestSupport
import Testing

@testable import Discovery

private func groups(_ text: String, _ path: String) throws -> [TargetGroup] {
  try TargetFile.parse(Array(text.utf8), path: path)
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

@Test func aManagerFollowsFilesAndReloads() async throws {
  let folder = TemporaryDirectory()
  folder.write("t.json", #"[{"targets": ["a:1"]}]"#)
  let file = "file_sd_configs: [{files: ['\(folder.path)/t.json']"
  let told = Told()
  let manager = DiscoveryManager(settling: .milliseconds(1), environment: makeEnvironment()) { told.tell($0) }
  defer { manager.stop() }
  manager.apply(
    try jobs(
      "{job_name: f, \(file)}]}, {job_name: s, static_configs: [{targets: ['s:1', 's:2']}], "
        + "relabel_configs: [{action: drop, source_labels: [__address__], regex: 's:2'}]}"))
  #expect(await told.wait(for: ["a:1", "s:1"]))
  #expect(manager.snapshot().map(\.droppedCount) == [0, 1])
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
  let manager = DiscoveryManager(settling: .zero, environment: makeEnvironment()) { told.tell($0) }
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

private func published(_ files: [String]) -> Published {
  Published(FileDiscovery(FileDiscoveryConfiguration(files: files), makeEnvironment()))
}

/// As Kubernetes mounts a ConfigMap: the file is a link into a folder that is a link, which is replaced.
@Test func followsLinksThatMove() async {
  let folder = TemporaryDirectory()
  folder.write("one/t.json", #"[{"targets": ["a:1"]}]"#)
  folder.write("two/t.json", #"[{"targets": ["b:1"]}]"#)
  folder.link("config/..data", to: "../one")
  folder.link("config/t.json", to: "..data/t.json")
  let path = "\(folder.path)/config/t.json"
  let found = published([path])
  #expect(await found.next() == ["\(path):0: a:1"])
  folder.link("config/..data_tmp", to: "../two")
  folder.move("config/..data_tmp", to: "config/..data")
  #expect(await found.next() == ["\(path):0: b:1"])
  // The folder that the links lead to is watched, too.
  folder.write("two/t.json", #"[{"targets": ["c:1"]}]"#)
  #expect(await found.next() == ["\(path):0: c:1"])
}

@Test func findsAFolderThatComesLater() async {
  let folder = TemporaryDirectory()
  let path = "\(folder.path)/later/t.yml"
  let found = published([path])
  #expect(await found.next() == [])
  folder.write("later/t.yml", "- targets: ['a:1']")
  #expect(await found.next() == ["\(path):0: a:1"])
  folder.delete("later/t.yml")
  #expect(await found.next() == ["\(path):0: "])
}

@Test func countsFilesThatCannotBeRead() async {
  let folder = TemporaryDirectory()
  folder.write("bad.json", "[")
  folder.write("good.json", #"[{"targets": ["a:1"]}]"#)
  let environment = makeEnvironment()
  let found = Published(
    FileDiscovery(FileDiscoveryConfiguration(files: ["\(folder.path)/*.json"]), environment))
  #expect(await found.next().count == 1)
  let lines = shown(environment.metrics)
  #expect(lines.contains("prometheus_sd_file_read_errors_total 1"))
  #expect(lines.contains("prometheus_sd_file_scan_duration_seconds_count 1"))
  #expect(lines.count { $0.hasPrefix("prometheus_sd_file_mtime_seconds{") && $0.contains("good.json") } == 1)
}

/// What a job had before a reload does not stay for ever where the new mechanism finds nothing.
@Test func whatIsInheritedEnds() async throws {
  let folder = TemporaryDirectory()
  folder.write("t.json", #"[{"targets": ["a:1"]}]"#)
  let told = Told()
  let manager = DiscoveryManager(
    settling: .zero, inheritance: .milliseconds(1), environment: makeEnvironment()
  ) { told.tell($0) }
  defer { manager.stop() }
  manager.apply(try jobs("{job_name: f, file_sd_configs: [{files: ['\(folder.path)/t.json']}]}"))
  #expect(await told.wait(for: ["a:1"]))
  manager.apply(try jobs("{job_name: f, http_sd_configs: [{url: 'http://127.0.0.1:1/'}]}"))
  #expect(await told.wait(for: []))
}
