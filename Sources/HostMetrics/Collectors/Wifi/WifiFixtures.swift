// What the wifi collector reads in place of the kernel for --collector.wifi.fixtures: interfaces.json, and for each
// interface NAME/bss.json and NAME/stationinfo.json.

import Bytes
import Kernel

final class WifiFixtures {
  private let folder: String
  private var buffer = ByteWriter()

  init(_ folder: String) { self.folder = folder }

  func interfaces() throws -> [WifiCollector.Interface] {
    let listed = try read("interfaces.json")?.elements
    guard let listed else { throw NoData("\(folder)/interfaces.json is not there") }
    return try listed.map { json in
      var interface = WifiCollector.Interface(name: json.text("name"), frequency: json.number("frequency"))
      guard !interface.name.isEmpty else { return interface }
      interface.network = try read("\(interface.name)/bss.json").map(WifiCollector.Network.init)
      interface.stations = try (read("\(interface.name)/stationinfo.json")?.elements ?? []).map(
        WifiCollector.Station.init)
      return interface
    }
  }

  /// Nil when the file is not there.
  private func read(_ name: String) throws -> JSONValue? {
    let file = KernelFile("\(folder)/\(name)")
    guard try file.readIfPresent(into: &buffer) else { return nil }
    return try buffer.withBytes { bytes in try JSONValue(parsing: bytes) }
  }
}

extension WifiCollector.Network {
  fileprivate init(_ json: JSONValue) {
    self.init(status: Int(exactly: json.number("status")) ?? -1, bssid: json.bytes("bssid"), ssid: json.text("ssid"))
  }
}

extension WifiCollector.Station {
  /// Durations are in nanoseconds.
  fileprivate init(_ json: JSONValue) {
    self.init(
      address: json.bytes("hardwareaddr"), connectedSeconds: json.number("connected") / 1e9,
      inactiveSeconds: json.number("inactive") / 1e9, receiveRate: json.number("receivebitrate"),
      transmitRate: json.number("transmitbitrate"), receivedBytes: json.number("receivedbytes"),
      transmittedBytes: json.number("transmittedbytes"), signal: json.number("signal"),
      transmitRetries: json.number("transmitretries"), transmitFailed: json.number("transmitfailed"),
      beaconLoss: json.number("beaconloss"), transmittedPackets: json.number("transmittedpackets"),
      receivedPackets: json.number("receivedpackets"))
  }
}

extension JSONValue {
  fileprivate var elements: [JSONValue] {
    if case .array(let elements) = self { return elements }
    return []
  }

  /// The bytes of a member in Base64 (RFC 4648); those before a fault.
  fileprivate func bytes(_ name: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var (bits, count): (UInt32, Int) = (0, 0)
    for character in text(name).utf8 {
      guard let digit = Self.base64Digits[character] else { break }
      bits = bits << 6 | UInt32(digit)
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
    return bytes
  }

  private static let base64Digits: [UInt8: Int] = Dictionary(
    uniqueKeysWithValues: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8.enumerated().map {
      ($0.element, $0.offset)
    })
}
