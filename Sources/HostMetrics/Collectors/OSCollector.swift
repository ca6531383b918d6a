// Reads etc/os-release, else usr/lib/os-release, below the root file system (os-release(5)).

import Bytes
import Exposition
import Glibc
import Kernel

final class OSCollector: Collector {
  static let name = "os"

  private static let infoKeys = [
    "BUILD_ID", "ID", "ID_LIKE", "IMAGE_ID", "IMAGE_VERSION", "NAME", "PRETTY_NAME", "VARIANT", "VARIANT_ID",
    "VERSION", "VERSION_CODENAME", "VERSION_ID",
  ]
  private static let info = MetricFamily.gauge(
    "node_os_info",
    "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, "
      + "pretty_name, variant, variant_id, version, version_codename, version_id.",
    infoKeys.map { $0.lowercased() })
  private static let version = MetricFamily.gauge(
    "node_os_version", "Metric containing the major.minor part of the OS version.", ["id", "id_like", "name"])
  private static let supportEnd = MetricFamily.gauge(
    "node_os_support_end_timestamp_seconds", "Metric containing the end-of-life date timestamp of the OS.")

  private let paths: [String]
  private var buffer = ByteWriter(capacity: 1024)
  /// The file that was read last, and what it said.
  private var file: FileStamp?
  private var release: [String: String] = [:]

  init(_ host: Host) {
    paths = ["etc/os-release", "usr/lib/os-release"].map(host.root)
  }

  func collect(into writer: MetricWriter) throws {
    try readIfChanged()
    writer.begin(Self.info)
    for key in Self.infoKeys { writer.label(release[key] ?? "") }
    writer.end(1.0)
    if let version = Self.majorMinor(of: release["VERSION_ID"] ?? ""), version > 0 {
      writer.begin(Self.version)
      for key in ["ID", "ID_LIKE", "NAME"] { writer.label(release[key] ?? "") }
      writer.end(version)
    }
    if let date = release["SUPPORT_END"], let end = Self.epoch(ofDate: date) {
      writer.sample(Self.supportEnd, end)
    }
  }

  /// An upgrade of the system replaces the file.
  private func readIfChanged() throws {
    for path in paths {
      guard let stamp = FileStamp(path) else { continue }
      if stamp == file { return }
      try KernelFile(path, limit: 1 << 20).read(into: &buffer)
      release = buffer.withBytes(Self.parse)
      file = stamp
      return
    }
    throw NoData("no os-release file found")
  }

  /// KEY=value lines; the value may be quoted as a shell has it.
  private static func parse(_ bytes: RawSpan) -> [String: String] {
    var release: [String: String] = [:]
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var text = ByteScanner(line.trimmed)
      guard text.next != UInt8(ascii: "#"), let key = text.field(upTo: UInt8(ascii: "=")) else { continue }
      release[String(utf8: key)] = unquote(String(utf8: text.rest))
    }
    return release
  }

  private static func unquote(_ text: String) -> String {
    guard let quote = text.first, quote == "\"" || quote == "'", text.count >= 2, text.last == quote else {
      return text
    }
    let inner = text.dropFirst().dropLast()
    guard quote == "\"" else { return String(inner) }
    var plain = ""
    var isEscaped = false
    for character in inner {
      if !isEscaped, character == "\\" {
        isEscaped = true
      } else {
        plain.append(character)
        isEscaped = false
      }
    }
    return plain
  }

  /// "20.04.2" gives 20.04.
  private static func majorMinor(of version: String) -> Double? {
    let parts = version.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    let major = (parts.first ?? "").prefix { $0.isASCII && $0.isNumber }
    guard !major.isEmpty else { return nil }
    let minor = major == parts[0] && parts.count > 1 ? parts[1].prefix { $0.isASCII && $0.isNumber } : ""
    return Double("\(major).\(minor.isEmpty ? "0" : minor)")
  }

  /// "2031-06-30" gives that midnight, UTC, in seconds since the epoch.
  private static func epoch(ofDate date: String) -> Double? {
    let parts = date.split(separator: "-").map { Int32($0) }
    guard parts.count == 3, let year = parts[0], let month = parts[1], let day = parts[2] else { return nil }
    guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day) else { return nil }
    var time = tm()
    time.tm_year = year - 1900
    time.tm_mon = month - 1
    time.tm_mday = day
    return Double(timegm(&time))
  }
}
