// Reads /sys/class/powercap/*/{name,energy_uj} (Documentation/power/powercap/powercap.rst): the energy that a
// processor's package, cores and memory have used.

import Bytes
import Exposition
import Flags
import Kernel

final class RAPLCollector: Collector {
  static let name = "rapl"
  static let flags = [zoneLabel.definition]

  private static let zoneLabel = Flag(
    "collector.rapl.enable-zone-label", false, "Enables service unit metric unit_start_time_seconds")

  private static let joules = MetricFamily.counter(
    "node_rapl_joules_total", "Current RAPL value in joules", ["index", "path", "rapl_zone"])

  /// The family of the zones of this name, when they are not shown by a label.
  private static func family(of zone: String) -> MetricFamily {
    .counter(
      "node_rapl_\(zone.utf8.asMetricName)_joules_total", "Current RAPL \(zone) value in joules", ["index", "path"])
  }

  private final class Zone {
    let path: String
    /// Nil until it was read; the folder intel-rapl itself has none.
    var name: ZoneName?
    init(path: String) { self.path = path }
  }

  private var zones: DeviceFolders<Zone>
  private let showsZoneLabel: Bool
  private var families: [String: MetricFamily] = [:]
  private let reader = AttributeReader.short()

  init(_ host: Host) {
    zones = DeviceFolders(host.sys("class/powercap")) { _, path in Zone(path: path) }
    showsZoneLabel = host.flags[Self.zoneLabel]
  }

  func collect(into writer: MetricWriter) throws {
    var nextIndices: [String: Int] = [:]
    var isRefused = false
    let count = writer.count
    for zone in try zones.presentOrNoData() {
      zone.name = zone.name ?? reader.text(zone.path, "name").map { ZoneName($0) }
      guard let name = zone.name else { continue }
      let index = name.index ?? nextIndices[name.text] ?? 0
      nextIndices[name.text] = index &+ 1
      guard let energy = reader.unsigned(zone.path, "energy_uj") else {
        isRefused = true
        continue
      }
      writer.begin(showsZoneLabel ? Self.joules : family(of: name.text))
      writer.label(index)
      writer.label(zone.path)
      if showsZoneLabel { writer.label(name.text) }
      writer.end(Double(energy) / 1_000_000)
    }
    // The kernel shows energy to root only, lest it tells what is computed (CVE-2020-8694).
    if isRefused, writer.count == count { throw NoData("no energy_uj in \(zones.path) can be read") }
  }

  private func family(of zone: String) -> MetricFamily {
    if let family = families[zone] { return family }
    let family = Self.family(of: zone)
    families[zone] = family
    return family
  }
}

/// The name of a zone: "package-0" is the package of index 0; "dram" has no index of its own.
struct ZoneName: Equatable {
  let text: String
  let index: Int?

  init(_ name: String) {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    if parts.count == 2, let index = Int(parts[1]) {
      text = String(parts[0])
      self.index = index
    } else {
      text = name
      index = nil
    }
  }
}
