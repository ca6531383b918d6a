// Asks systemd over D-Bus for its units (org.freedesktop.systemd1(5)): one call lists them all, the properties that the
// list lacks are asked for in one go.

import Exposition
import Flags
import Kernel
import Patterns

final class SystemdCollector: Collector {
  static let name = "systemd"
  static let isEnabledByDefault = false

  private static let include = Flag(
    "collector.systemd.unit-include", ".+",
    "Regexp of systemd units to include. Units must both match include and not match exclude to be included.")
  private static let whitelist = Flag(
    "collector.systemd.unit-whitelist", "", "DEPRECATED: Use --collector.systemd.unit-include", isHidden: true)
  private static let exclude = Flag(
    "collector.systemd.unit-exclude", #".+\.(automount|device|mount|scope|slice)"#,
    "Regexp of systemd units to exclude. Units must both match include and not match exclude to be included.")
  private static let blacklist = Flag(
    "collector.systemd.unit-blacklist", "", "DEPRECATED: Use collector.systemd.unit-exclude", isHidden: true)
  private static let isPrivate = Flag(
    "collector.systemd.private", false,
    "Establish a private, direct connection to systemd without dbus (Strongly discouraged since it requires root. "
      + "For testing purposes only).", isHidden: true)
  private static let showsTasks = Flag(
    "collector.systemd.enable-task-metrics", false,
    "Enables service unit tasks metrics unit_tasks_current and unit_tasks_max")
  private static let showsRestarts = Flag(
    "collector.systemd.enable-restarts-metrics", false, "Enables service unit metric service_restart_total")
  private static let showsStartTime = Flag(
    "collector.systemd.enable-start-time-metrics", false, "Enables service unit metric unit_start_time_seconds")
  private static let onlyActiveState = Flag(
    "collector.systemd.only-active-state", false,
    "Export unit_state only for the state that a unit is in, not also a 0 for each of the others")
  static let flags = [
    include.definition, whitelist.definition, exclude.definition, blacklist.definition, isPrivate.definition,
    showsTasks.definition, showsRestarts.definition, showsStartTime.definition, onlyActiveState.definition,
  ]

  private static let state = MetricFamily.gauge("node_systemd_unit_state", "Systemd unit", ["name", "state", "type"])
  private static let startTime = MetricFamily.gauge(
    "node_systemd_unit_start_time_seconds", "Start time of the unit since unix epoch in seconds.", ["name"])
  private static let running = MetricFamily.gauge(
    "node_systemd_system_running", "Whether the system is operational (see 'systemctl is-system-running')")
  private static let units = MetricFamily.gauge("node_systemd_units", "Summary of systemd unit states", ["state"])
  private static let version = MetricFamily.gauge(
    "node_systemd_version", "Detected systemd version", ["version"])
  private static let virtualization = MetricFamily.gauge(
    "node_systemd_virtualization_info", "Detected virtualization technology", ["virtualization_type"])

  private static let states = ["active", "activating", "deactivating", "inactive", "failed"]

  /// A property of a unit that is shown as a number; the value of a counter that is not kept is 2^64 - 1.
  private struct Property {
    let name: String
    let family: MetricFamily
    var divisor = 1.0
  }

  private static let accepted = Property(
    name: "NAccepted",
    family: .counter(
      "node_systemd_socket_accepted_connections_total", "Total number of accepted socket connections", ["name"]))
  private static let connected = Property(
    name: "NConnections",
    family: .gauge("node_systemd_socket_current_connections", "Current number of socket connections", ["name"]))
  private static let refused = Property(
    name: "NRefused",
    // node_exporter has it as a gauge.
    family: .gauge(
      "node_systemd_socket_refused_connections_total", "Total number of refused socket connections", ["name"]))
  private static let lastTrigger = Property(
    name: "LastTriggerUSec",
    family: .gauge("node_systemd_timer_last_trigger_seconds", "Seconds since epoch of last trigger.", ["name"]),
    divisor: 1e6)
  private static let restarts = Property(
    name: "NRestarts",
    family: .counter("node_systemd_service_restart_total", "Service unit count of Restart triggers", ["name"]))
  private static let tasks = Property(
    name: "TasksCurrent",
    family: .gauge("node_systemd_unit_tasks_current", "Current number of tasks per Systemd unit", ["name"]))
  private static let maxTasks = Property(
    name: "TasksMax",
    family: .gauge("node_systemd_unit_tasks_max", "Maximum number of tasks per Systemd unit", ["name"]))
  private static let activeSince = Property(name: "ActiveEnterTimestamp", family: startTime, divisor: 1e6)

  /// What is asked of units of one kind, over one of their interfaces.
  private struct Question {
    /// The end of the names of such units.
    let suffix: String
    let interface: String
    let properties: [Property]
    /// Whether the interface has a property Type that goes into the label of that name.
    var hasType = false
    /// Whether only active units are asked.
    var ofActive = false

    var names: [String] { (hasType ? ["Type"] : []) + properties.map(\.name) }
  }

  private struct Unit {
    let name: String
    let state: String
    let path: String
    var type = ""
  }

  private static let destination = "org.freedesktop.systemd1"
  private static let manager = "org.freedesktop.systemd1.Manager"
  private static let managerPath = "/org/freedesktop/systemd1"
  /// Nanoseconds that all answers together may take.
  static let patience: UInt64 = 5_000_000_000
  /// Before this version there are no system state and no last trigger of timers.
  private static let stateVersion = 212.0

  private let bus: Bus
  private let patience: UInt64
  private let include: Pattern
  private let exclude: Pattern
  private let questions: [Question]
  private let showsStartTime: Bool
  private let onlyActiveState: Bool
  private var units: [Unit] = []

  convenience init(_ host: Host) throws(CollectorConfigurationError) {
    let isPrivate = host.flags[Self.isPrivate]
    try self.init(host, Bus(isPrivate ? .peer("unix:path=/run/systemd/private") : .system))
  }

  init(_ host: Host, _ bus: Bus, patience: UInt64 = patience) throws(CollectorConfigurationError) {
    self.bus = bus
    self.patience = patience
    let flags = host.flags
    include = try Self.anchored(host.pattern(Self.include, onceCalled: Self.whitelist))
    exclude = try Self.anchored(host.pattern(Self.exclude, onceCalled: Self.blacklist))
    showsStartTime = flags[Self.showsStartTime]
    onlyActiveState = flags[Self.onlyActiveState]
    let ofServices =
      (flags[Self.showsRestarts] ? [Self.restarts] : []) + (flags[Self.showsTasks] ? [Self.tasks, Self.maxTasks] : [])
    questions =
      [
        Question(suffix: ".service", interface: "Service", properties: ofServices, hasType: true),
        Question(suffix: ".mount", interface: "Mount", properties: [], hasType: true),
        Question(suffix: ".socket", interface: "Socket", properties: [Self.accepted, Self.connected, Self.refused]),
        Question(suffix: ".timer", interface: "Timer", properties: [Self.lastTrigger]),
      ]
      + (flags[Self.showsStartTime]
        ? [Question(suffix: "", interface: "Unit", properties: [Self.activeSince], ofActive: true)] : [])
  }

  private static func anchored(_ pattern: String) throws(CollectorConfigurationError) -> Pattern {
    do {
      return try Pattern("^(?:\(pattern))$")
    } catch {
      throw CollectorConfigurationError(error.description)
    }
  }

  func collect(into writer: MetricWriter) throws {
    let deadline = MonotonicClock.now + patience
    let hasStates = try askManager(deadline, writer)
    try askUnits(deadline, hasTimers: hasStates, writer)
    for unit in units { write(unit, to: writer) }
  }

  // MARK: The manager

  /// Lists the units and writes what is of the system as a whole; says whether systemd is new enough for states.
  private func askManager(_ deadline: UInt64, _ writer: MetricWriter) throws -> Bool {
    var version: String?
    var virtualization: String?
    var state: Result<String?, BusError> = .success(nil)
    var counts: [String: Int] = [:]
    units.removeAll(keepingCapacity: true)
    let names = ["Version", "Virtualization", "SystemState"]
    let calls =
      names.map { BusCall.property($0, of: Self.destination, Self.managerPath, Self.manager) }
      + [BusCall(Self.destination, Self.managerPath, Self.manager, "ListUnits")]
    try bus.perform(calls, deadline: deadline) { index, answer in
      switch index {
      case 0: version = try? answer.get().variant().text
      case 1: virtualization = try? answer.get().variant().text
      case 2: state = answer.flatMap { message in Self.text(of: message) }
      default: counts = try list(try answer.get())
      }
    }
    let number = version.flatMap(Self.number(ofVersion:))
    writer.begin(Self.version)
    writer.label(number == nil ? "" : version ?? "")
    writer.end(number ?? 0)
    writer.begin(Self.virtualization)
    // No technology is what systemd says on bare metal.
    writer.label(virtualization.map { $0.isEmpty ? "none" : $0 } ?? "unknown")
    writer.end(1.0)
    for (state, count) in counts {
      writer.begin(Self.units)
      writer.label(state)
      writer.end(Double(count))
    }
    guard let number, number >= Self.stateVersion else { return false }
    writer.sample(Self.running, try state.get() == "running" ? 1.0 : 0)
    return true
  }

  private static func text(of message: BusMessage) -> Result<String?, BusError> {
    Result { () throws(BusError) in try message.variant().text }
  }

  /// Takes the units that are to be shown from the answer of ListUnits; gives the numbers of all units by state.
  private func list(_ answer: BusMessage) throws(BusError) -> [String: Int] {
    var counts = Dictionary(uniqueKeysWithValues: Self.states.map { ($0, 0) })
    // Name, description, load state, active state, sub state, followed unit, path; job: number, type, path.
    try answer.structs(of: "ssssssouso") { () throws(BusError) in
      let name = try answer.text()
      try answer.skip("s")
      let loadState = try answer.text()
      let state = try answer.text()
      try answer.skip("ss")
      let path = try answer.text()
      try answer.skip("uso")
      counts[state, default: 0] += 1
      guard loadState == "loaded", include.occurs(in: name.utf8.span.bytes),
        !exclude.occurs(in: name.utf8.span.bytes)
      else { return }
      units.append(Unit(name: name, state: state, path: path))
    }
    return counts
  }

  /// The number in a version such as "252.39-1~deb12u1": the first three digits or more, with a fraction if there is one.
  private static func number(ofVersion version: String) -> Double? {
    let digits = version.utf8.split { !$0.isDigit && $0 != UInt8(ascii: ".") }
    for group in digits {
      let parts = group.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
      guard let index = parts.firstIndex(where: { $0.count >= 3 }) else { continue }
      let whole = String(Substring(parts[index]))
      guard index + 1 < parts.count, !parts[index + 1].isEmpty else { return Double(whole) }
      return Double("\(whole).\(Substring(parts[index + 1]))")
    }
    return nil
  }

  // MARK: The units

  /// Asks for what the list lacks. A unit that is gone by now, or answers with something else, loses that only.
  private func askUnits(_ deadline: UInt64, hasTimers: Bool, _ writer: MetricWriter) throws {
    var calls: [BusCall] = []
    var asked: [(unit: Int, question: Question)] = []
    for (index, unit) in units.enumerated() {
      for question in questions where unit.name.hasSuffix(question.suffix) {
        guard unit.state == "active" || !question.ofActive, hasTimers || question.interface != "Timer" else { continue }
        let interface = "\(Self.destination).\(question.interface)"
        let names = question.names
        calls.append(
          names.count == 1
            ? .property(names[0], of: Self.destination, unit.path, interface)
            : .allProperties(of: Self.destination, unit.path, interface))
        asked.append((index, question))
      }
    }
    try bus.perform(calls, deadline: deadline) { index, answer in
      let (unit, question) = asked[index]
      let values = Self.values(in: answer, question.names)
      if case .text(let type) = values["Type"] { units[unit].type = type }
      for property in question.properties {
        guard let number = values[property.name]?.number else {
          // Nor are a socket's later numbers shown, but for those that systemd has had since version 239 only.
          if question.interface == "Socket" { break }
          continue
        }
        // What systemd does not count.
        if number == .max, property.divisor == 1 { continue }
        writer.begin(property.family)
        writer.label(units[unit].name)
        writer.end(Double(number) / property.divisor)
      }
    }
  }

  private static func values(in answer: Result<BusMessage, BusError>, _ names: [String]) -> [String: BusValue] {
    guard let message = try? answer.get() else { return [:] }
    if names.count == 1 { return (try? message.variant()).map { [names[0]: $0] } ?? [:] }
    var values: [String: BusValue] = [:]
    try? message.properties { name, value in if names.contains(name) { values[name] = value } }
    return values
  }

  private func write(_ unit: Unit, to writer: MetricWriter) {
    for state in onlyActiveState ? [unit.state] : Self.states {
      writer.begin(Self.state)
      writer.label(unit.name)
      writer.label(state)
      writer.label(unit.type)
      writer.end(state == unit.state ? 1.0 : 0)
    }
    if showsStartTime, unit.state != "active" {
      writer.begin(Self.startTime)
      writer.label(unit.name)
      writer.end(0.0)
    }
  }
}
