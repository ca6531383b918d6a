// Reads /sys/devices/system/edac/mc (Documentation/ABI/testing/sysfs-devices-edac): the memory errors of each
// controller mcN, of its chip-select rows csrowN, and of their channels chN.

import Bytes
import Exposition
import Kernel

final class EDACCollector: Collector {
  static let name = "edac"

  private static let rowCorrectable = MetricFamily.counter(
    "node_edac_csrow_correctable_errors_total", "Total correctable memory errors for this csrow.",
    ["controller", "csrow"])
  private static let rowUncorrectable = MetricFamily.counter(
    "node_edac_csrow_uncorrectable_errors_total", "Total uncorrectable memory errors for this csrow.",
    ["controller", "csrow"])

  private static let controller = [
    Attribute(
      "ce_count",
      .counter("node_edac_correctable_errors_total", "Total correctable memory errors.", ["controller"]), .unsigned),
    Attribute(
      "ue_count",
      .counter("node_edac_uncorrectable_errors_total", "Total uncorrectable memory errors.", ["controller"]),
      .unsigned),
  ]
  /// Errors that no row could be found for.
  private static let unknownRow = [
    Attribute("ce_noinfo_count", rowCorrectable, .unsigned), Attribute("ue_noinfo_count", rowUncorrectable, .unsigned),
  ]
  private static let row = [
    Attribute("ce_count", rowCorrectable, .unsigned), Attribute("ue_count", rowUncorrectable, .unsigned),
  ]
  /// Behind "ch0_".
  private static let channel = [
    Attribute(
      "ce_count",
      .counter(
        "node_edac_channel_correctable_errors_total", "Total correctable memory errors for this channel.",
        ["channel", "controller", "csrow", "dimm_label"]), .unsigned),
    Attribute(
      "ue_count",
      .counter(
        "node_edac_channel_uncorrectable_errors_total", "Total uncorrectable memory errors for this channel.",
        ["channel", "controller", "csrow", "dimm_label"]), .unsigned),
  ]

  private final class Controller {
    let number: String
    let path: String
    var rows: DeviceFolders<Row>

    init(number: String, path: String) {
      self.number = number
      self.path = path
      rows = DeviceFolders(path) { name, path in name.number(after: "csrow").map { Row(number: $0, path: path) } }
    }
  }

  private final class Row {
    let number: String
    let path: String
    /// With their files' full names.
    var channels: FolderFiles<[(number: String, attributes: [Attribute])]>

    init(number: String, path: String) {
      self.number = number
      self.path = path
      channels = FolderFiles([path]) { folders in
        folders[0].compactMap { file in
          guard file.hasSuffix("_ce_count"), let number = String(file.dropLast(9)).number(after: "ch") else {
            return nil
          }
          return (number, EDACCollector.channel.map { Attribute("ch\(number)_\($0.file)", $0.family, $0.format) })
        }
      }
    }
  }

  private var controllers: DeviceFolders<Controller>
  private let reader = AttributeReader.short()

  init(_ host: Host) {
    controllers = DeviceFolders(host.sys("devices/system/edac/mc")) { name, path in
      name.number(after: "mc").map { Controller(number: $0, path: path) }
    }
  }

  func collect(into writer: MetricWriter) throws {
    for controller in try controllers.present() {
      let number = controller.number
      reader.write(Self.controller, of: controller.path, labels: [number], into: writer)
      reader.write(Self.unknownRow, of: controller.path, labels: [number, "unknown"], into: writer)
      // A controller that has just gone has no rows.
      for row in (try? controller.rows.present()) ?? [] {
        reader.write(Self.row, of: row.path, labels: [number, row.number], into: writer)
        for channel in row.channels.current() {
          let labels = [channel.number, number, row.number, dimmLabel(of: channel.number, row)]
          reader.write(channel.attributes, of: row.path, labels: labels, into: writer)
        }
      }
    }
  }

  /// The name of the memory module: "mc#0csrow#0channel#1" is shown as mc0_csrow0_channel1. Administrators may change
  /// it at any time.
  private func dimmLabel(of channel: String, _ row: Row) -> String {
    guard let label = reader.text(row.path, "ch\(channel)_dimm_label") else { return "unknown" }
    var shown = ""
    var rest = label.filter { $0 != "#" }[...]
    while let first = rest.first {
      if rest.hasPrefix("csrow") || rest.hasPrefix("channel") { shown.append("_") }
      shown.append(first)
      rest.removeFirst()
    }
    return shown
  }
}
