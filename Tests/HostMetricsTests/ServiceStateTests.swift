import TestSupport
import Testing

@testable import HostMetrics

@Suite struct RunitTests {
  /// supervise/status.
  private static func status(at seconds: UInt64, want: Character, state: UInt8) -> [UInt8] {
    let label = withUnsafeBytes(of: (1 << 62 + 10 + seconds).bigEndian) { Array($0) }
    return label + [0, 0, 0, 1, 77, 0, 0, 0, 0, want.asciiValue!, 0, state]
  }

  private static func collector(_ root: TemporaryDirectory) throws -> RunitCollector {
    try RunitCollector(.fixture(RunitCollector.self, "/", ["--collector.runit.servicedir=\(root.path)"]))
  }

  @Test func showsServices() throws {
    let root = TemporaryDirectory()
    root.write("web/supervise/status", bytes: Self.status(at: 1_700_000_000, want: "u", state: 1))
    root.write("job/supervise/status", bytes: Self.status(at: 1_600_000_000, want: "d", state: 2))
    root.write("job/supervise/down", "")
    root.write("short/supervise/status", bytes: Array(Self.status(at: 1, want: "u", state: 1).dropLast()))
    root.makeFIFO("fifo/supervise/status")
    root.makeDirectory("empty")
    root.write("file", "")
    let expected = """
      # HELP node_service_desired_state Desired state of runit service.
      # TYPE node_service_desired_state gauge
      node_service_desired_state{service="job",supervisor="runit"} 0
      node_service_desired_state{service="web",supervisor="runit"} 1
      # HELP node_service_normal_state Normal state of runit service.
      # TYPE node_service_normal_state gauge
      node_service_normal_state{service="job",supervisor="runit"} 0
      node_service_normal_state{service="web",supervisor="runit"} 1
      # HELP node_service_state State of runit service.
      # TYPE node_service_state gauge
      node_service_state{service="job",supervisor="runit"} 2
      node_service_state{service="web",supervisor="runit"} 1
      # HELP node_service_state_last_change_timestamp_seconds Unix timestamp of the last runit service state change.
      # TYPE node_service_state_last_change_timestamp_seconds gauge
      node_service_state_last_change_timestamp_seconds{service="job",supervisor="runit"} 1.6e+09
      node_service_state_last_change_timestamp_seconds{service="web",supervisor="runit"} 1.7e+09

      """
    #expect(try render(try Self.collector(root)) == expected)
  }

  @Test func failsWithoutTheFolder() throws {
    let collector = try RunitCollector(
      .fixture(RunitCollector.self, "/", ["--collector.runit.servicedir=/nonexistent"]))
    #expect(throws: (any Error).self) { try render(collector) }
  }

  @Test func survivesAnyStatus() throws {
    let root = TemporaryDirectory()
    let collector = try Self.collector(root)
    var random = SeededGenerator(9)
    for _ in 0..<500 {
      let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
        UInt8.random(in: .min ... .max, using: &random)
      }
      root.write("any/supervise/status", bytes: bytes)
      _ = try render(collector)
    }
  }
}

@Suite struct SelinuxTests {
  private static func state(_ fill: (TemporaryDirectory) -> Void) throws -> [String] {
    let root = TemporaryDirectory()
    fill(root)
    return try render(SelinuxCollector(root: root.path)).split(separator: "\n").map(String.init)
  }

  @Test func withoutItThereIsOneSeries() throws {
    #expect(
      try Self.state { _ in } == [
        "# HELP node_selinux_enabled SELinux is enabled, 1 is true, 0 is false", "# TYPE node_selinux_enabled gauge",
        "node_selinux_enabled 0",
      ])
  }

  @Test(
    arguments: [
      ("1", "SELINUX=enforcing\n", "1", "1"), ("0", "# SELINUX=enforcing\n\n  SELINUX=permissive \n", "0", "0"),
      ("0\n", "SELINUXTYPE=targeted\nSELINUX=disabled\n", "0", "-1"), ("x", "", "-1", "-1"),
      ("", "\0SELINUX", "-1", "-1"),
    ])
  func showsModes(enforce: String, config: String, current: String, configured: String) throws {
    let lines = try Self.state { root in
      root.write("sys/fs/selinux/enforce", enforce)
      root.write("etc/selinux/config", config)
      root.write("proc/self/attr/current", "unconfined_u:unconfined_r\0")
    }
    #expect(
      lines == [
        "# HELP node_selinux_config_mode Configured SELinux enforcement mode",
        "# TYPE node_selinux_config_mode gauge", "node_selinux_config_mode \(configured)",
        "# HELP node_selinux_current_mode Current SELinux enforcement mode",
        "# TYPE node_selinux_current_mode gauge", "node_selinux_current_mode \(current)",
        "# HELP node_selinux_enabled SELinux is enabled, 1 is true, 0 is false",
        "# TYPE node_selinux_enabled gauge", "node_selinux_enabled 1",
      ])
  }

  @Test func withoutAPolicyItIsOff() throws {
    let lines = try Self.state { root in
      root.write("sys/fs/selinux/enforce", "0")
      root.write("proc/self/attr/current", "kernel\0")
    }
    #expect(lines.last == "node_selinux_enabled 0")
  }
}

@Suite struct TimexTests {
  @Test func showsTheClock() throws {
    let text: String
    do {
      text = try render(try TimexCollector(.fixture(TimexCollector.self, "/")))
    } catch is NoData {
      return  // A container may not ask.
    }
    #expect(lines(text, "node_timex_").count == 17)
    #expect(lines(text, "# TYPE").count { $0.hasSuffix(" counter") } == 4)
    // 10 ms are the kernel's 100 ticks a second, give or take what the clock is slewed by.
    let tick = try #require(
      lines(text, "node_timex_tick_seconds ").first?.split(separator: " ").last.flatMap { Double($0) })
    #expect((0.009...0.011).contains(tick))
  }
}
