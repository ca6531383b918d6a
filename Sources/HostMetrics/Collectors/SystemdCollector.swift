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

  /// A property that is asked of the units whose names end so.
  private struct Property {
    let suffix: String
    let interface: String
    let name: String
    /// What its number is shown as; nil for the type, which is a label.
    var family: MetricFamily?
    var divisor = 1.0
    /// Whether only active units are asked.
    var ofActive = false
  }

  private static let types = [
    Property(suffix: ".service", interface: "Service", name: "Type"),
    Property(suffix: ".mount", interface: "Mount", name: "Type"),
  ]
  private static let sockets = [
    Property(
      suffix: ".socket", interface: "Socket", name: "NAccepted",
      family: .counter(
        "node_systemd_socket_accepted_connections_total", "Total number of accepted socket connections", ["name"])),
    Property(
      suffix: ".socket", interface: "Socket", name: "NConnections",
      family: .gauge("node_systemd_socket_current_connections", "Current number of socket connections", ["name"])),
    Property(
      suffix: ".socket", interface: "Socket", name: "NRefused",
      // A gauge in node_exporter.
      family: .gauge(
        "node_systemd_socket_refused_connections_total", "Total number of refused socket connections", ["name"])),
  ]
  private static let timers = [
    Property(
      suffix: ".timer", interface: "Timer", name: "LastTriggerUSec",
      family: .gauge("node_systemd_timer_last_trigger_seconds", "Seconds since epoch of last trigger.", ["name"]),
      divisor: 1e6)
  ]
  private static let restarts = [
    Property(
      suffix: ".service", interface: "Service", name: "NRestarts",
      family: .counter("node_systemd_service_restart_total", "Service unit count of Restart triggers", ["name"]))
  ]
  private static let tasks = [
    Property(
      suffix: ".service", interface: "Service", name: "TasksCurrent",
      family: .gauge("node_systemd_unit_tasks_current", "Current number of tasks per Systemd unit", ["name"])),
    Property(
      suffix: ".service", interface: "Service", name: "TasksMax",
      family: .gauge("node_systemd_unit_tasks_max", "Maximum number of tasks per Systemd unit", ["name"])),
  ]
  private static let startTimes = [
    Property(
      suffix: "", interface: "Unit", name: "ActiveEnterTimestamp", family: startTime, divisor: 1e6, ofActive: true)
  ]

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
  private let properties: [Property]
  private let showsStartTime: Bool
  private let onlyActiveState: Bool
  private var units: [Unit] = []
  /// The types of units by name, which are the same until systemd reads its configuration again.
  private var knownTypes: [String: String] = [:]
  /// When systemd last did so; nil when it does not say.
  private var loadTime: UInt64?

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
    properties =
      Self.types + Self.sockets + Self.timers + (flags[Self.showsRestarts] ? Self.restarts : [])
      + (flags[Self.showsTasks] ? Self.tasks : []) + (flags[Self.showsStartTime] ? Self.startTimes : [])
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
    let system = try askManager(deadline, writer)
    try askUnits(deadline, hasTimers: system.version >= Self.stateVersion, writer)
    for unit in units { write(unit, to: writer) }
    guard system.version >= Self.stateVersion else { return }
    writer.sample(Self.running, try system.state.get() == "running" ? 1.0 : 0)
  }

  // MARK: The manager

  private typealias System = (version: Double, state: Result<String?, BusError>)

  /// Lists the units and writes what is of the system as a whole.
  private func askManager(_ deadline: UInt64, _ writer: MetricWriter) throws -> System {
    var version: String?
    var virtualization: String?
    var state: Result<String?, BusError> = .success(nil)
    var counts: [String: Int] = [:]
    units.removeAll(keepingCapacity: true)
    var loadTime: UInt64?
    let names = ["Version", "Virtualization", "SystemState", "UnitsLoadTimestampMonotonic"]
    let calls =
      names.map { BusCall.property($0, of: Self.destination, Self.managerPath, Self.manager) }
      + [BusCall(Self.destination, Self.managerPath, Self.manager, "ListUnits")]
    try bus.perform(calls, deadline: deadline) { index, answer in
      switch index {
      case 0: version = try? answer.get().variant().text
      case 1: virtualization = try? answer.get().variant().text
      case 2: state = answer.flatMap { message in Self.text(of: message) }
      case 3: loadTime = try? answer.get().variant().number
      default: counts = try list(try answer.get())
      }
    }
    if loadTime == nil || loadTime != self.loadTime { knownTypes.removeAll() }
    self.loadTime = loadTime
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
    return (number ?? 0, state)
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
    var asked: [(unit: Int, property: Property)] = []
    for index in units.indices {
      let unit = units[index]
      for property in properties where unit.name.hasSuffix(property.suffix) {
        guard unit.state == "active" || !property.ofActive, hasTimers || property.interface != "Timer" else { continue }
        if property.family == nil, let type = knownTypes[unit.name] {
          units[index].type = type
          continue
        }
        calls.append(
          .property(property.name, of: Self.destination, unit.path, "\(Self.destination).\(property.interface)"))
        asked.append((index, property))
      }
    }
    try bus.perform(calls, deadline: deadline) { index, answer in
      let (unit, property) = asked[index]
      guard let value = try? answer.get().variant() else { return }
      guard let family = property.family else {
        units[unit].type = value.text ?? ""
        return
      }
      // 2^64 - 1: not counted, or without a limit.
      guard let number = value.number, number != .max else { return }
      writer.begin(family)
      writer.label(units[unit].name)
      writer.end(Double(number) / property.divisor)
    }
    knownTypes = Dictionary(
      units.filter { !$0.type.isEmpty }.map { ($0.name, $0.type) }, uniquingKeysWith: { first, _ in first })
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
