import Bytes
import Exposition
import Kernel
import Synchronization
import TestBus
import TestSupport
import Testing

@testable import HostMetrics

private let manager = "org.freedesktop.systemd1.Manager"

/// One line of ListUnits.
private func unit(_ name: String, _ state: String = "active", load: String = "loaded") -> StubValue {
  .structure([
    .string(name), .string("Described"), .string(load), .string(state), .string("running"), .string(""),
    .path("/unit/\(name.utf8.map { String($0) }.joined(separator: "_"))"), .uint32(0), .string(""), .path("/"),
  ])
}

private func path(of name: String) -> String { "/unit/\(name.utf8.map { String($0) }.joined(separator: "_"))" }

/// What the stub of systemd says; tests change it while it runs.
private final class FakeSystemd: Sendable {
  struct State: Sendable {
    var manager: [String: StubValue] = [
      "Version": .string("252.39-1~deb12u1"), "Virtualization": .string("kvm"), "SystemState": .string("running"),
      "UnitsLoadTimestampMonotonic": .uint64(1),
    ]
    var units: [StubValue] = []
    /// By the unit's name, then the property's.
    var properties: [String: [String: StubValue]] = [:]
    /// Instead of all that.
    var answer: (@Sendable (StubCall) -> StubAnswer)?
  }

  let state = Mutex(State())

  func answer(_ call: StubCall) -> StubAnswer {
    state.withLock { state in
      if let answer = state.answer { return answer(call) }
      if call.member == "ListUnits" {
        return .values([
          .array("(ssssssouso)", state.units)
        ])
      }
      guard call.member == "Get", call.arguments.count == 2 else {
        return .error("org.freedesktop.DBus.Error.UnknownMethod")
      }
      let name = call.arguments[1]
      if call.arguments[0] == manager {
        return state.manager[name].map { .values([.variant($0)]) }
          ?? .error("org.freedesktop.DBus.Error.UnknownProperty")
      }
      for (unit, properties) in state.properties where path(of: unit) == call.path {
        if let value = properties[name] { return .values([.variant(value)]) }
      }
      return .error("org.freedesktop.DBus.Error.UnknownObject")
    }
  }
}

private struct Fixture {
  let daemon: TestBus
  let fake = FakeSystemd()
  let stub: StubService
  let collector: SystemdCollector

  init(_ arguments: [String] = [], patience: UInt64 = 20_000_000_000) throws {
    daemon = try TestBus()
    let fake = fake
    stub = try StubService("org.freedesktop.systemd1", at: daemon.address) { fake.answer($0) }
    collector = try SystemdCollector(
      .fixture(SystemdCollector.self, "/nonexistent", arguments), Bus(.bus(daemon.address)), patience: patience)
    fake.state.withLock { state in
      state.units = [
        unit("web.service"), unit("job.service", "failed"), unit("ssh.socket"), unit("daily.timer", "inactive"),
        unit("gone.service", "inactive", load: "not-found"), unit("srv.mount"),
        unit("quoted\\x2d\"a\".service", "reloading"),
      ]
      state.properties = [
        "web.service": [
          "Type": .string("notify"), "NRestarts": .uint32(3), "TasksCurrent": .uint64(5), "TasksMax": .uint64(4915),
          "ActiveEnterTimestamp": .uint64(1_700_000_000_250_000),
        ],
        "job.service": ["Type": .string("oneshot"), "TasksCurrent": .uint64(.max), "TasksMax": .uint64(.max)],
        "ssh.socket": [
          "NAccepted": .uint32(9), "NConnections": .uint32(2), "NRefused": .uint32(1),
          "ActiveEnterTimestamp": .uint64(1_600_000_000_000_000),
        ],
        "daily.timer": ["LastTriggerUSec": .uint64(1_500_000_000_123_456)],
        "srv.mount": ["Type": .string("ext4")],
        "quoted\\x2d\"a\".service": ["Type": .string("simple")],
      ]
    }
  }

  func change(_ body: (inout FakeSystemd.State) -> Void) { fake.state.withLock { body(&$0) } }

  /// How often a property was asked for.
  func count(_ property: String) -> Int { stub.calls.count { $0.arguments.last == property } }
}

@Suite struct SystemdTests {
  @Test func showsUnits() throws {
    let fixture = try Fixture()
    let expected = """
      # HELP node_systemd_socket_accepted_connections_total Total number of accepted socket connections
      # TYPE node_systemd_socket_accepted_connections_total counter
      node_systemd_socket_accepted_connections_total{name="ssh.socket"} 9
      # HELP node_systemd_socket_current_connections Current number of socket connections
      # TYPE node_systemd_socket_current_connections gauge
      node_systemd_socket_current_connections{name="ssh.socket"} 2
      # HELP node_systemd_socket_refused_connections_total Total number of refused socket connections
      # TYPE node_systemd_socket_refused_connections_total gauge
      node_systemd_socket_refused_connections_total{name="ssh.socket"} 1
      # HELP node_systemd_system_running Whether the system is operational (see 'systemctl is-system-running')
      # TYPE node_systemd_system_running gauge
      node_systemd_system_running 1
      # HELP node_systemd_timer_last_trigger_seconds Seconds since epoch of last trigger.
      # TYPE node_systemd_timer_last_trigger_seconds gauge
      node_systemd_timer_last_trigger_seconds{name="daily.timer"} 1.500000000123456e+09
      # HELP node_systemd_unit_state Systemd unit
      # TYPE node_systemd_unit_state gauge
      node_systemd_unit_state{name="daily.timer",state="activating",type=""} 0
      node_systemd_unit_state{name="daily.timer",state="active",type=""} 0
      node_systemd_unit_state{name="daily.timer",state="deactivating",type=""} 0
      node_systemd_unit_state{name="daily.timer",state="failed",type=""} 0
      node_systemd_unit_state{name="daily.timer",state="inactive",type=""} 1
      node_systemd_unit_state{name="job.service",state="activating",type="oneshot"} 0
      node_systemd_unit_state{name="job.service",state="active",type="oneshot"} 0
      node_systemd_unit_state{name="job.service",state="deactivating",type="oneshot"} 0
      node_systemd_unit_state{name="job.service",state="failed",type="oneshot"} 1
      node_systemd_unit_state{name="job.service",state="inactive",type="oneshot"} 0
      node_systemd_unit_state{name="quoted\\\\x2d\\"a\\".service",state="activating",type="simple"} 0
      node_systemd_unit_state{name="quoted\\\\x2d\\"a\\".service",state="active",type="simple"} 0
      node_systemd_unit_state{name="quoted\\\\x2d\\"a\\".service",state="deactivating",type="simple"} 0
      node_systemd_unit_state{name="quoted\\\\x2d\\"a\\".service",state="failed",type="simple"} 0
      node_systemd_unit_state{name="quoted\\\\x2d\\"a\\".service",state="inactive",type="simple"} 0
      node_systemd_unit_state{name="ssh.socket",state="activating",type=""} 0
      node_systemd_unit_state{name="ssh.socket",state="active",type=""} 1
      node_systemd_unit_state{name="ssh.socket",state="deactivating",type=""} 0
      node_systemd_unit_state{name="ssh.socket",state="failed",type=""} 0
      node_systemd_unit_state{name="ssh.socket",state="inactive",type=""} 0
      node_systemd_unit_state{name="web.service",state="activating",type="notify"} 0
      node_systemd_unit_state{name="web.service",state="active",type="notify"} 1
      node_systemd_unit_state{name="web.service",state="deactivating",type="notify"} 0
      node_systemd_unit_state{name="web.service",state="failed",type="notify"} 0
      node_systemd_unit_state{name="web.service",state="inactive",type="notify"} 0
      # HELP node_systemd_units Summary of systemd unit states
      # TYPE node_systemd_units gauge
      node_systemd_units{state="activating"} 0
      node_systemd_units{state="active"} 3
      node_systemd_units{state="deactivating"} 0
      node_systemd_units{state="failed"} 1
      node_systemd_units{state="inactive"} 2
      node_systemd_units{state="reloading"} 1
      # HELP node_systemd_version Detected systemd version
      # TYPE node_systemd_version gauge
      node_systemd_version{version="252.39-1~deb12u1"} 252.39
      # HELP node_systemd_virtualization_info Detected virtualization technology
      # TYPE node_systemd_virtualization_info gauge
      node_systemd_virtualization_info{virtualization_type="kvm"} 1

      """
    for _ in 0..<2 { #expect(try render(fixture.collector) == expected) }
  }

  @Test func showsMoreWhenAsked() throws {
    let fixture = try Fixture([
      "--collector.systemd.enable-restarts-metrics", "--collector.systemd.enable-task-metrics",
      "--collector.systemd.enable-start-time-metrics", "--collector.systemd.only-active-state",
      #"--collector.systemd.unit-include=(web|job)\.service|.*\.(socket|mount)"#, "--collector.systemd.unit-exclude=x",
    ])
    let text = try render(fixture.collector)
    #expect(
      lines(text, "node_systemd_service_") + lines(text, "node_systemd_unit_") == [
        #"node_systemd_service_restart_total{name="web.service"} 3"#,
        #"node_systemd_unit_start_time_seconds{name="job.service"} 0"#,
        #"node_systemd_unit_start_time_seconds{name="ssh.socket"} 1.6e+09"#,
        #"node_systemd_unit_start_time_seconds{name="web.service"} 1.70000000025e+09"#,
        #"node_systemd_unit_state{name="job.service",state="failed",type="oneshot"} 1"#,
        #"node_systemd_unit_state{name="srv.mount",state="active",type="ext4"} 1"#,
        #"node_systemd_unit_state{name="ssh.socket",state="active",type=""} 1"#,
        #"node_systemd_unit_state{name="web.service",state="active",type="notify"} 1"#,
        #"node_systemd_unit_tasks_current{name="web.service"} 5"#,
        #"node_systemd_unit_tasks_max{name="web.service"} 4915"#,
      ])
  }

  @Test func aUnitThatVanishesLosesOnlyItsProperties() throws {
    let fixture = try Fixture()
    fixture.change { $0.properties = ["job.service": ["Type": .string("oneshot")]] }
    let text = try render(fixture.collector)
    #expect(text.contains(#"{name="web.service",state="active",type=""} 1"#))
    #expect(text.contains(#"{name="job.service",state="failed",type="oneshot"} 1"#))
    #expect(lines(text, "node_systemd_socket").isEmpty && lines(text, "node_systemd_timer").isEmpty)
  }

  @Test func typesAreAskedForOnceUntilSystemdReloads() throws {
    let fixture = try Fixture()
    for _ in 0..<3 { _ = try render(fixture.collector) }
    #expect(fixture.count("Type") == 3)
    // A new unit is asked, and one that came back.
    fixture.change { state in
      state.units.append(unit("new.service"))
      state.properties["new.service"] = ["Type": .string("exec")]
      state.units.removeFirst()
    }
    #expect(try render(fixture.collector).contains(#"{name="new.service",state="active",type="exec"} 1"#))
    fixture.change { state in
      state.units.append(unit("web.service"))
      state.properties["web.service"]?["Type"] = .string("forking")
    }
    #expect(try render(fixture.collector).contains(#"{name="web.service",state="active",type="forking"} 1"#))
    #expect(fixture.count("Type") == 5)
    fixture.change { state in
      state.properties["web.service"]?["Type"] = .string("dbus")
      state.manager["UnitsLoadTimestampMonotonic"] = .uint64(2)
    }
    #expect(try render(fixture.collector).contains(#"{name="web.service",state="active",type="dbus"} 1"#))
    #expect(fixture.count("Type") == 9)
    // Older ones do not say when they reloaded.
    fixture.change { $0.manager["UnitsLoadTimestampMonotonic"] = nil }
    for _ in 0..<2 { _ = try render(fixture.collector) }
    #expect(fixture.count("Type") == 17)
  }

  @Test(
    arguments: [
      (.string("239"), #"{version="239"} 239"#, true),
      (.string("v255.4-1.fc40"), #"{version="v255.4-1.fc40"} 255.4"#, true),
      (.string("systemd 208"), #"{version="systemd 208"} 208"#, false),
      (.string("1.2.2345.6"), #"{version="1.2.2345.6"} 2345.6"#, true),
      (.string("256."), #"{version="256."} 256"#, true), (.string("44"), #"{version=""} 0"#, false),
      (.string(""), #"{version=""} 0"#, false), (.uint32(252), #"{version=""} 0"#, false),
    ] as [(StubValue, String, Bool)])
  func theVersionDecidesWhatThereIs(version: StubValue, shown: String, hasStates: Bool) throws {
    let fixture = try Fixture()
    fixture.change { $0.manager["Version"] = version }
    let text = try render(fixture.collector)
    #expect(lines(text, "node_systemd_version") == ["node_systemd_version\(shown)"])
    #expect(lines(text, "node_systemd_system_running").isEmpty != hasStates)
    #expect(lines(text, "node_systemd_timer").isEmpty != hasStates)
  }

  @Test(
    arguments: [(.string(""), "none"), (.string("docker"), "docker"), (nil, "unknown"), (.uint32(1), "unknown")]
      as [(StubValue?, String)])
  func virtualization(value: StubValue?, shown: String) throws {
    let fixture = try Fixture()
    fixture.change { $0.manager["Virtualization"] = value }
    #expect(try render(fixture.collector).contains(#"_info{virtualization_type="\#(shown)"} 1"#))
  }

  @Test func aStateThatCannotBeReadCostsTheUnitsNothing() throws {
    let fixture = try Fixture()
    fixture.change { $0.manager["SystemState"] = nil }
    let writer = MetricWriter()
    #expect(throws: BusError.self) { try fixture.collector.collect(into: writer) }
    var output = ByteWriter()
    TextExposition().render([writer], into: &output)
    #expect(lines(String(utf8: output.bytes), "node_systemd_unit_state").count == 25)
    fixture.change { $0.manager["SystemState"] = .string("degraded") }
    #expect(try render(fixture.collector).contains("node_systemd_system_running 0\n"))
  }

  @Test func whatHangsEndsAtTheDeadline() throws {
    let fixture = try Fixture(patience: 200_000_000)
    fixture.change { state in state.answer = { $0.member == "ListUnits" ? .none : .values([.variant(.string("x"))]) } }
    #expect(throws: BusError.self) { try render(fixture.collector) }
  }

  @Test func aUnitThatHangsEndsAtTheDeadline() throws {
    let fixture = try Fixture(patience: 1_500_000_000)
    fixture.change { state in
      state.answer = { call in
        switch call.member {
        case "ListUnits": .values([.array("(ssssssouso)", [unit("a.service"), unit("b.service")])])
        case "Get": call.path == path(of: "b.service") ? .none : .values([.variant(.string("252"))])
        default: .none
        }
      }
    }
    let writer = MetricWriter()
    #expect(throws: BusError.self) { try fixture.collector.collect(into: writer) }
    #expect(writer.count == 7)
    fixture.change { $0.answer = nil }
    #expect(try render(fixture.collector).contains("node_systemd_system_running 1"))
  }

  @Test func withoutABusItFails() throws {
    let host = try Host.fixture(SystemdCollector.self, "/nonexistent")
    let collector = try SystemdCollector(host, Bus(.bus("unix:path=/nonexistent/bus")))
    #expect(throws: BusError.self) { try render(collector) }
  }

  @Test func survivesAnyAnswer() throws {
    let fixture = try Fixture([
      "--collector.systemd.enable-task-metrics", "--collector.systemd.enable-start-time-metrics",
    ])
    let random = Mutex(SeededGenerator(11))
    fixture.change { state in
      state.answer = { call in
        random.withLock { random in
          if call.member == "ListUnits", Bool.random(using: &random) {
            let names = ["a.service", "b.socket", "c.timer", "d.mount", "", ".service", "\u{1}\n\"\\.socket"]
            return .values([.array("(ssssssouso)", names.map { unit($0, anyText(&random)) })])
          }
          return Int.random(in: 0..<8, using: &random) == 0
            ? .error("org.example.Random")
            : .values((0..<Int.random(in: 0...2, using: &random)).map { _ in anyValue(&random) })
        }
      }
    }
    for _ in 0..<300 { _ = try? render(fixture.collector) }
    fixture.change { $0.answer = nil }
    #expect(try render(fixture.collector).contains("node_systemd_system_running 1"))
  }

  @Test(arguments: [
    ["--collector.systemd.unit-include=("], ["--collector.systemd.unit-exclude=["],
    ["--collector.systemd.unit-include=a", "--collector.systemd.unit-whitelist=b"],
    ["--collector.systemd.unit-exclude=a", "--collector.systemd.unit-blacklist=b"],
  ])
  func badFlagsAreRefused(arguments: [String]) {
    #expect(throws: CollectorConfigurationError.self) {
      try SystemdCollector(.fixture(SystemdCollector.self, "/nonexistent", arguments))
    }
  }
}

private func anyText(_ random: inout SeededGenerator) -> String {
  ["active", "running", "loaded", "", "notify", "\u{fffd}\"\\\n", "252.1"].randomElement(using: &random) ?? ""
}

private func anyValue(_ random: inout SeededGenerator, depth: Int = 0) -> StubValue {
  switch Int.random(in: 0..<(depth < 3 ? 13 : 8), using: &random) {
  case 0: .string(anyText(&random))
  case 1: .uint32(.random(in: .min ... .max, using: &random))
  case 2: .uint64(.random(in: .min ... .max, using: &random))
  case 3: .bool(.random(using: &random))
  case 4: .path("/a/b")
  case 5: .double(.random(in: -1...1, using: &random))
  case 6: .int32(.random(in: .min ... .max, using: &random))
  case 7: .byte(.random(in: .min ... .max, using: &random))
  case 8, 9, 10: .variant(anyValue(&random, depth: depth + 1))
  case 11: .structure([anyValue(&random, depth: depth + 1), .string("x")])
  default: .properties([("Type", anyValue(&random, depth: 3)), ("Remote", .string("x")), ("Class", .bool(true))])
  }
}

@Suite struct LogindTests {
  private static let seats: StubValue = .array("(so)", [.structure([.string("seat0"), .path("/seat/seat0")])])

  private static func session(_ number: Int, seat: String) -> StubValue {
    .structure([.string("c\(number)"), .uint32(0), .string("root"), .string(seat), .path("/session/\(number)")])
  }

  private static func properties(_ remote: StubValue, _ type: StubValue, _ sessionClass: StubValue) -> StubValue {
    .properties([
      ("Id", .string("c")), ("Remote", remote), ("Type", type), ("Class", sessionClass), ("VTNr", .uint32(1)),
    ])
  }

  private static func collector(
    _ daemon: TestBus, patience: UInt64 = 20_000_000_000, _ answer: @escaping @Sendable (StubCall) -> StubAnswer
  ) throws -> (LogindCollector, StubService) {
    let stub = try StubService("org.freedesktop.login1", at: daemon.address, answer)
    return (LogindCollector(Bus(.bus(daemon.address)), patience: patience), stub)
  }

  @Test func countsSessions() throws {
    let daemon = try TestBus()
    let (collector, stub) = try Self.collector(daemon) { call in
      switch (call.member, call.path) {
      case ("ListSeats", _): .values([Self.seats])
      case ("ListSessions", _):
        .values([.array("(susso)", (1...7).map { Self.session($0, seat: $0 < 3 ? "seat0" : $0 == 7 ? "seat9" : "") })])
      case (_, "/session/1"), (_, "/session/2"):
        .values([Self.properties(.bool(false), .string("wayland"), .string("user"))])
      case (_, "/session/3"): .values([Self.properties(.bool(true), .string("tty"), .string("user"))])
      case (_, "/session/4"): .values([Self.properties(.bool(true), .string("new"), .string("manager"))])
      case (_, "/session/5"): .values([Self.properties(.string("true"), .string("tty"), .string("user"))])
      case (_, "/session/6"): .error("org.freedesktop.DBus.Error.UnknownObject")
      default: .values([Self.properties(.bool(false), .string("tty"), .string("user"))])
      }
    }
    for _ in 0..<2 {
      let text = try render(collector)
      #expect(
        text.hasPrefix(
          """
          # HELP node_logind_sessions Number of sessions registered in logind.
          # TYPE node_logind_sessions gauge
          node_logind_sessions{class="background",remote="false",seat="",type="mir"} 0

          """))
      let samples = lines(text, "node_logind_sessions{")
      #expect(samples.count == 2 * 7 * 5 * 2)
      #expect(
        samples.filter { !$0.hasSuffix(" 0") } == [
          #"node_logind_sessions{class="other",remote="true",seat="",type="other"} 1"#,
          #"node_logind_sessions{class="user",remote="false",seat="seat0",type="wayland"} 2"#,
          #"node_logind_sessions{class="user",remote="true",seat="",type="tty"} 1"#,
        ])
    }
    #expect(stub.calls.count == 2 * (2 + 7))
  }

  @Test func failsWithoutLists() throws {
    let daemon = try TestBus()
    for (list, answer) in [
      ("ListSeats", StubAnswer.error("org.example.No")), ("ListSessions", .error("org.example.No")),
      ("ListSeats", .values([.string("x")])), ("ListSessions", .values([])), ("ListSessions", .none),
    ] {
      let (collector, stub) = try Self.collector(daemon, patience: 200_000_000) { call in
        call.member == list ? answer : .values([call.member == "ListSeats" ? Self.seats : .array("(susso)", [])])
      }
      #expect(throws: BusError.self) { try render(collector) }
      withExtendedLifetime(stub) {}
    }
  }

  @Test func survivesAnyAnswer() throws {
    let daemon = try TestBus()
    let random = Mutex(SeededGenerator(12))
    let (collector, stub) = try Self.collector(daemon) { call in
      random.withLock { random in
        if call.member == "ListSeats" { return .values([Self.seats]) }
        if call.member == "ListSessions", Bool.random(using: &random) {
          return .values([.array("(susso)", (1...3).map { Self.session($0, seat: anyText(&random)) })])
        }
        return .values((0..<Int.random(in: 0...2, using: &random)).map { _ in anyValue(&random) })
      }
    }
    for _ in 0..<300 { _ = try? render(collector) }
    withExtendedLifetime(stub) {}
  }
}
