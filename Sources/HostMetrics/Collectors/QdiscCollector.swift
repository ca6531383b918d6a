// Reads the counters of the interfaces' queueing disciplines by rtnetlink (RTM_GETQDISC, tc(8)).

import Bytes
import Exposition
import Flags
import Kernel

final class QdiscCollector: Collector {
  static let name = "qdisc"
  static let isEnabledByDefault = false

  private static let fixtures = Flag(
    "collector.qdisc.fixtures", "", "test fixtures to use for qdisc collector end-to-end testing")
  private static let include = Flag(
    "collector.qdisc.device-include", "",
    "Regexp of qdisc devices to include (mutually exclusive to device-exclude).")
  private static let oldInclude = Flag(
    "collector.qdisk.device-include", "", "DEPRECATED: Use collector.qdisc.device-include", isHidden: true)
  private static let exclude = Flag(
    "collector.qdisc.device-exclude", "",
    "Regexp of qdisc devices to exclude (mutually exclusive to device-include).")
  private static let oldExclude = Flag(
    "collector.qdisk.device-exclude", "", "DEPRECATED: Use collector.qdisc.device-exclude", isHidden: true)
  static let flags = [
    fixtures.definition, include.definition, oldInclude.definition, exclude.definition, oldExclude.definition,
  ]

  /// A metric, and the name of its number in a fixture.
  private static let metrics: [(family: MetricFamily, member: String)] = [
    (.counter("node_qdisc_bytes_total", "Number of bytes sent.", labels), "Bytes"),
    (.counter("node_qdisc_packets_total", "Number of packets sent.", labels), "Packets"),
    (.counter("node_qdisc_drops_total", "Number of packets dropped.", labels), "Drops"),
    (
      .counter("node_qdisc_requeues_total", "Number of packets dequeued, not transmitted, and requeued.", labels),
      "Requeues"
    ),
    (.counter("node_qdisc_overlimits_total", "Number of overlimit packets.", labels), "Overlimits"),
    (
      .gauge(
        "node_qdisc_current_queue_length", "Number of packets currently in queue to be sent.", labels),
      "Qlen"
    ),
    (.gauge("node_qdisc_backlog", "Number of bytes currently in queue to be sent.", labels), "Backlog"),
  ]
  private static let labels = ["device", "kind"]

  /// A queueing discipline, and its numbers in the metrics' order.
  private struct Row {
    let device: [UInt8]
    let kind: [UInt8]
    let values: InlineArray<7, Double>
  }

  private let filter: NetworkDeviceFilter
  private let fixture: KernelFile?
  private let socket = NetlinkSocket()
  private var names = InterfaceNames()
  private var buffer = ByteWriter()

  init(_ host: Host) throws(CollectorConfigurationError) {
    filter = try NetworkDeviceFilter(
      host,
      own: NameFilter(
        include: host.pattern(Self.include, onceCalled: Self.oldInclude),
        exclude: host.pattern(Self.exclude, onceCalled: Self.oldExclude),
        flags: "collector.qdisc.device-include and collector.qdisc.device-exclude"))
    let folder = host.flags[Self.fixtures]
    fixture = folder.isEmpty ? nil : KernelFile("\(folder)/results.json")
  }

  func collect(into writer: MetricWriter) throws {
    let rows: [Row]
    if let fixture {
      rows = try fixture.read(into: &buffer) { bytes in try Self.rows(json: JSONValue(parsing: bytes)) }
    } else {
      try names.read(by: socket, through: &buffer)
      try socket.dump(.queueingDisciplines, into: &buffer)
      rows = buffer.withBytes { self.rows(dump: $0) }
    }
    let shown = rows.filter { !filter.isIgnored($0.device.span.bytes) }
    for (index, metric) in Self.metrics.enumerated() {
      for row in shown {
        writer.begin(metric.family)
        writer.label(row.device)
        writer.label(row.kind)
        writer.end(row.values[index])
      }
    }
  }

  /// The interfaces' own, not those below.
  private func rows(dump: RawSpan) -> [Row] {
    var rows: [Row] = []
    QueueingDiscipline.forEach(in: dump) { discipline in
      guard discipline.isRoot, let device = names[discipline.index] else { return }
      rows.append(
        Row(
          device: device, kind: dump.extracting(discipline.kind).array,
          values: [
            Double(discipline.bytes), Double(discipline.packets), Double(discipline.drops),
            Double(discipline.requeues), Double(discipline.overlimits), Double(discipline.queueLength),
            Double(discipline.backlog),
          ]))
    }
    return rows
  }

  private static func rows(json: JSONValue) throws -> [Row] {
    guard case .array(let elements) = json else { throw MalformedFile("results.json", "expected an array") }
    return elements.compactMap { element in
      if element.number("Parent") != 0 { return nil }
      return Row(
        device: Array(element.text("IfaceName").utf8), kind: Array(element.text("Kind").utf8),
        values: InlineArray { element.number(metrics[$0].member) })
    }
  }
}
