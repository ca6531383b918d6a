import Testing

@testable import HostMetrics

/// Why software events cannot be counted here; nil when they can.
private let obstacle: String? = {
  do {
    _ = try render(try PerfCollector(.fixture(PerfCollector.self, "/nonexistent", software)))
    return nil
  } catch { return "\(error)" }
}()

private let software = [
  "--collector.perf.disable-hardware-profilers", "--collector.perf.disable-cache-profilers", "--collector.perf.cpus=0",
]

private func value(_ text: String, _ series: String) -> Double? {
  lines(text, series).first.flatMap { Double($0.split(separator: " ")[1]) }
}

@Suite struct PerfTests {
  @Test(
    arguments: [
      ("0", [0]), ("3,1", [3, 1]), ("0-3,5", [0, 1, 2, 3, 5]), ("1-10:5", [1, 6]), ("0-2:1,7-7", [0, 1, 2, 7]),
      ("5-3", []), ("8191", [8191]),
    ])
  func listsOfCPUs(list: String, cpus: [Int]) throws {
    #expect(try PerfCollector.cpus(in: list) == cpus)
  }

  @Test(arguments: [
    "", "x", "0-", "-1", "0,,1", "1-2-3", "0-9:0", "0-9:-1", "0-9:x", "1:2", "0-99999999999", "9223372036854775808",
    "8192",
  ])
  func badListsOfCPUs(list: String) {
    #expect(throws: CollectorConfigurationError.self) { try PerfCollector.cpus(in: list) }
  }

  @Test(arguments: ["sched", "sched:", ":x", "a:b:c", "../a:b", "a b:c", "sched:not_there"])
  func badTracepointsAreRefused(text: String) {
    #expect(throws: CollectorConfigurationError.self) {
      try PerfCollector(
        .fixture(PerfCollector.self, "/nonexistent", software + ["--collector.perf.tracepoint=\(text)"]))
    }
  }

  @Test(.enabled(if: obstacle == nil, "software events cannot be counted here"))
  func countsWhatTheKernelDoes() throws {
    let collector = try PerfCollector(.fixture(PerfCollector.self, "/nonexistent", software))
    let before = try render(collector)
    #expect(
      lines(before, "# ") == [
        "# HELP node_perf_context_switches_total Number of context switches",
        "# TYPE node_perf_context_switches_total counter",
        "# HELP node_perf_cpu_migrations_total Number of CPU process migrations",
        "# TYPE node_perf_cpu_migrations_total counter",
        "# HELP node_perf_major_faults_total Number of major page faults",
        "# TYPE node_perf_major_faults_total counter",
        "# HELP node_perf_minor_faults_total Number of minor page faults",
        "# TYPE node_perf_minor_faults_total counter",
        "# HELP node_perf_page_faults_total Number of page faults",
        "# TYPE node_perf_page_faults_total counter",
      ])
    // Threads on this CPU and others; somebody switches and faults until the counters have moved.
    var after = before
    for _ in 0..<1000 {
      let pages = [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
        buffer.initialize(repeating: 1)
        count = buffer.count
      }
      #expect(pages.count == 1 << 20)
      after = try render(collector)
      if value(after, "node_perf_page_faults_total")! > value(before, "node_perf_page_faults_total")! { break }
    }
    for line in lines(before, "node_perf_") {
      let series = String(line.split(separator: " ")[0])
      #expect(value(after, series)! >= value(before, series)!)
    }
  }

  @Test(.enabled(if: obstacle == nil, "software events cannot be counted here"))
  func listsChooseProfilers() throws {
    func families(_ names: [String]) throws -> [String] {
      let arguments = software + names.map { "--collector.perf.software-profilers=\($0)" }
      let text = try render(try PerfCollector(.fixture(PerfCollector.self, "/nonexistent", arguments)))
      return lines(text, "# TYPE ").map { String($0.split(separator: " ")[2]) }
    }
    #expect(try families(["PageFault"]) == ["node_perf_page_faults_total"])
    #expect(
      try families(["CpuMigration", "MajorFault", "Nonsense"])
        == ["node_perf_cpu_migrations_total", "node_perf_major_faults_total"])
    // Without a name that it knows, it counts all.
    #expect(try families(["Nonsense"]).count == 5)
  }

  @Test(.enabled(if: obstacle == nil, "software events cannot be counted here"))
  func aCPUThatIsNotThereIsLeftOut() throws {
    let arguments = software.dropLast() + ["--collector.perf.cpus=0,8191"]
    let text = try render(try PerfCollector(.fixture(PerfCollector.self, "/nonexistent", Array(arguments))))
    #expect(lines(text, "node_perf_page_faults_total").count == 1)
    // With no CPU there is nothing.
    let none = try PerfCollector(
      .fixture(PerfCollector.self, "/nonexistent", software.dropLast() + ["--collector.perf.cpus=8191"]))
    #expect(throws: (any Error).self) { try render(none) }
  }

  @Test func allSwitchedOffIsNoData() throws {
    let arguments = software + ["--collector.perf.disable-software-profilers"]
    let collector = try PerfCollector(.fixture(PerfCollector.self, "/nonexistent", arguments))
    #expect(throws: NoData.self) { try render(collector) }
  }
}
