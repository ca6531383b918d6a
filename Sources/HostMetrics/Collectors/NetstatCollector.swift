// Reads /proc/net/netstat and /proc/net/snmp, pairs of lines "Tcp: NAME…" and "Tcp: NUMBER…", and /proc/net/snmp6,
// "Ip6InReceives 7" (Documentation/networking/snmp_counter.rst).

import Bytes
import Exposition
import Flags
import Kernel

final class NetstatCollector: Collector {
  static let name = "netstat"
  static let flags = [fieldsFlag.definition]

  private static let fieldsFlag = Flag(
    "collector.netstat.fields",
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|"
      + "Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|"
      + "PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
    "Regexp of fields to return for netstat collector.")

  /// What a line of names stands for: a family for each number of the next line; nil for those that are not shown.
  private final class Columns {
    let families: [MetricFamily?]
    init(_ families: [MetricFamily?]) { self.families = families }
  }

  private var pairs: [(file: KernelFile, columns: NameCache<Columns>)]
  private let snmp6: KernelFile
  private var snmp6Families: FamilyCache
  private let makeFamily: (_ layer: Substring, _ name: Substring) -> MetricFamily?
  private var buffer = ByteWriter(capacity: 8192)

  init(_ host: Host) throws(CollectorConfigurationError) {
    pairs = ["net/netstat", "net/snmp"].map { (KernelFile(host.proc($0)), NameCache()) }
    snmp6 = KernelFile(host.proc("net/snmp6"))
    let shown = try NameFilter.compile(host.flags[Self.fieldsFlag])
    let makeFamily = { (layer: Substring, name: Substring) -> MetricFamily? in
      let key = "\(layer)_\(name)"
      guard shown?.occurs(in: key.utf8.span.bytes) != false else { return nil }
      return .untyped("node_netstat_\(key)", "Statistic \(layer)\(name).")
    }
    self.makeFamily = makeFamily
    snmp6Families = FamilyCache { key in
      // "Udp6InDatagrams": the layer's name ends in 6.
      guard let six = key.firstIndex(of: "6") else { return nil }
      return makeFamily(key[...six], key[key.index(after: six)...])
    }
  }

  func collect(into writer: MetricWriter) throws {
    for index in pairs.indices {
      try pairs[index].file.read(into: &buffer) { bytes in try parse(bytes, pair: index, into: writer) }
    }
    // Without IPv6 there is no such file.
    guard try snmp6.readIfPresent(into: &buffer) else { return }
    try buffer.withBytes { bytes in try parseLines(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, pair: Int, into writer: MetricWriter) throws {
    let path = pairs[pair].file.path
    pairs[pair].columns.restart()
    var lines = ByteScanner(bytes)
    while let names = lines.line() {
      let columns = pairs[pair].columns.value(for: names) { makeColumns(String(decoding: $0, as: UTF8.self)) }
      guard let numbers = lines.line() else { throw MalformedFile(path, "expected a line of numbers below", in: names) }
      var fields = ByteScanner(numbers)
      guard let layer = fields.field(), names.byteCount >= layer.byteCount,
        names.extracting(0..<layer.byteCount).equals(layer)
      else { throw MalformedFile(path, "expected the numbers of the line above", in: numbers) }
      for family in columns.families {
        guard let number = fields.field() else { throw MalformedFile(path, "a number is missing", in: numbers) }
        guard let family else { continue }
        guard let value = Double(goSyntax: number) else { throw MalformedFile(path, "expected numbers", in: numbers) }
        writer.sample(family, value)
      }
      guard fields.field() == nil else { throw MalformedFile(path, "more numbers than names", in: numbers) }
    }
    pairs[pair].columns.finish()
  }

  /// "TcpExt: SyncookiesSent SyncookiesRecv"
  private func makeColumns(_ names: String) -> Columns {
    let words = names.split(separator: " ")
    let layer = words.first.map { $0.hasSuffix(":") ? $0.dropLast() : $0 } ?? ""
    return Columns(words.dropFirst().map { makeFamily(layer, $0) })
  }

  private func parseLines(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    var position = -1
    while let line = lines.line() {
      position += 1
      var fields = ByteScanner(line)
      guard let key = fields.field(), let number = fields.field() else { continue }
      guard let family = snmp6Families.family(of: key, at: position) else { continue }
      guard let value = Double(goSyntax: number) else { throw MalformedFile(snmp6.path, "expected a number", in: line) }
      writer.sample(family, value)
    }
  }
}
