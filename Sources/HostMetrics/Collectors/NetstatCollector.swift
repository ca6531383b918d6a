// Reads /proc/net/{netstat,snmp} (proc_pid_net(5)), pairs of lines "TcpExt: SyncookiesSent …" and "TcpExt: 0 …", and
// /proc/net/snmp6, a key and a number a line.

import Bytes
import Exposition
import Flags
import Kernel

final class NetstatCollector: Collector {
  static let name = "netstat"
  static let flags = [fieldsFlag.definition]

  private static let fieldsFlag = Flag(
    "collector.netstat.fields",
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|"
      + "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"
      + "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|"
      + "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
    "Regexp of fields to return for netstat collector.")

  private let tables: [KernelFile]
  private let list: KernelFile
  private var buffer = ByteWriter(capacity: 8192)
  private var columns: ColumnCache
  private var families: FamilyCache

  init(_ host: Host) throws(CollectorConfigurationError) {
    tables = ["net/netstat", "net/snmp"].map { KernelFile(host.proc($0), .onePiece) }
    list = KernelFile(host.proc("net/snmp6"), .onePiece)
    let shown = try NameFilter(include: host.flags[Self.fieldsFlag])
    func family(_ group: Substring, _ field: Substring) -> MetricFamily? {
      let key = "\(group)_\(field)"
      return shown.isIgnored(key) ? nil : .untyped("node_netstat_\(key)", "Statistic \(group)\(field).")
    }
    columns = ColumnCache { heading in
      let names = heading.split(separator: " ")
      guard let group = names.first?.dropLast() else { return [] }
      return names.dropFirst().map { family(group, $0) }
    }
    families = FamilyCache { key in
      // Ip6InOctets is InOctets of Ip6.
      guard let six = key.firstIndex(of: "6") else { return nil }
      return family(key[...six], key[key.index(after: six)...])
    }
  }

  func collect(into writer: MetricWriter) throws {
    var position = 0
    for file in tables {
      try file.read(into: &buffer) { bytes in
        try parseTable(bytes, of: file.path, at: &position, into: writer)
      }
    }
    // Without IPv6 there is none.
    guard try list.readIfPresent(into: &buffer) else { return }
    try buffer.withBytes { bytes in try parseList(bytes, into: writer) }
  }

  private func parseTable(
    _ bytes: RawSpan, of path: String, at position: inout Int, into writer: MetricWriter
  ) throws {
    var lines = ByteScanner(bytes)
    while let heading = lines.line() {
      let families = columns.families(of: heading, at: position)
      position += 1
      guard let line = lines.line() else { throw MalformedFile(path, "expected a second line", in: heading) }
      var fields = ByteScanner(line)
      _ = fields.field()
      for family in families {
        guard let field = fields.field() else { throw MalformedFile(path, "expected a number a field", in: line) }
        guard let family else { continue }
        guard let value = Double(goSyntax: field) else { throw MalformedFile(path, "expected numbers", in: line) }
        writer.sample(family, value)
      }
    }
  }

  private func parseList(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    var position = -1
    while let line = lines.line() {
      position += 1
      var fields = ByteScanner(line)
      guard let key = fields.field(), let text = fields.field(),
        let family = families.family(of: key, at: position)
      else { continue }
      guard let value = Double(goSyntax: text) else { throw MalformedFile(list.path, "expected a number", in: line) }
      writer.sample(family, value)
    }
  }
}
