import Bytes
import Testing

@testable import Kernel

private func dump(_ table: NetlinkSocket.Table) throws -> [UInt8] {
  var buffer = ByteWriter()
  try NetlinkSocket().dump(table, into: &buffer)
  return buffer.bytes.array
}

private func names(_ dump: RawSpan) -> [Int32: String] {
  var names: [Int32: String] = [:]
  NetworkLink.forEach(in: dump) { link in names[link.index] = String(utf8: dump.extracting(link.name)) }
  return names
}

/// The links whose counters are there, after everything else was looked at too.
private func countedLinks(_ dump: RawSpan) -> Int {
  var count = 0
  NetworkLink.forEach(in: dump) { link in
    _ = dump.extracting(link.alias)
    if link.statistics(in: dump) != nil { count += 1 }
  }
  return count
}

@Suite struct NetlinkTests {
  @Test func findsTheLoopbackInterface() throws {
    let links = try dump(.links)
    let found = names(links.span.bytes)
    #expect(found[1] == "lo")
    #expect(countedLinks(links.span.bytes) == found.count)
    let addresses = try dump(.addresses)
    let known = NetworkAddress.all(in: addresses.span.bytes)
    #expect(known.contains { $0.index == 1 && $0.address == [127, 0, 0, 1] })
  }

  @Test func keepsItsSocket() throws {
    let socket = NetlinkSocket()
    var buffer = ByteWriter()
    for _ in 0..<50 {
      try socket.dump(.links, into: &buffer)
      let name = names(buffer.bytes)[1]
      #expect(name == "lo")
      try socket.dump(.addresses, into: &buffer)
    }
  }

  @Test func survivesAnything() throws {
    let dumps = [try dump(.links), try dump(.addresses)]
    var state: UInt64 = 11
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    for round in 0..<3000 {
      var bytes = dumps[round % 2]
      for _ in 0..<1 + random(20) { bytes[random(bytes.count)] = UInt8(random(256)) }
      bytes.removeLast(random(bytes.count))
      _ = countedLinks(bytes.span.bytes)
      _ = NetworkAddress.all(in: bytes.span.bytes)
    }
  }
}
