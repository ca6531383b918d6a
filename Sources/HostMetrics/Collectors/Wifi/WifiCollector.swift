// Reads the wireless interfaces, their networks and the stations they hear by nl80211
// (include/uapi/linux/nl80211.h).

import Bytes
import Exposition
import Flags
import Glibc
import Kernel

final class WifiCollector: Collector {
  static let name = "wifi"
  static let isEnabledByDefault = false
  static let flags = [fixtures.definition]

  private static let fixtures = Flag(
    "collector.wifi.fixtures", "", "test fixtures to use for wifi collector metrics")

  private static let frequency = MetricFamily.gauge(
    "node_wifi_interface_frequency_hertz", "The current frequency a WiFi interface is operating at, in hertz.",
    ["device"])
  private static let info = MetricFamily.gauge(
    "node_wifi_station_info", "Labeled WiFi interface station information as provided by the operating system.",
    ["bssid", "device", "mode", "ssid"])

  private static let labels = ["device", "mac_address"]
  private static let metrics: [(family: MetricFamily, value: @Sendable (Station) -> Double)] = [
    (
      .counter(
        "node_wifi_station_connected_seconds_total",
        "The total number of seconds a station has been connected to an access point.", labels),
      { $0.connectedSeconds }
    ),
    (
      .gauge(
        "node_wifi_station_inactive_seconds",
        "The number of seconds since any wireless activity has occurred on a station.", labels),
      { $0.inactiveSeconds }
    ),
    (
      .gauge(
        "node_wifi_station_receive_bits_per_second",
        "The current WiFi receive bitrate of a station, in bits per second.", labels),
      { $0.receiveRate }
    ),
    (
      .gauge(
        "node_wifi_station_transmit_bits_per_second",
        "The current WiFi transmit bitrate of a station, in bits per second.", labels),
      { $0.transmitRate }
    ),
    (
      .counter(
        "node_wifi_station_receive_bytes_total", "The total number of bytes received by a WiFi station.", labels),
      { $0.receivedBytes }
    ),
    (
      .counter(
        "node_wifi_station_transmit_bytes_total", "The total number of bytes transmitted by a WiFi station.", labels),
      { $0.transmittedBytes }
    ),
    (
      .gauge(
        "node_wifi_station_signal_dbm", "The current WiFi signal strength, in decibel-milliwatts (dBm).", labels),
      { $0.signal }
    ),
    (
      .counter(
        "node_wifi_station_transmit_retries_total",
        "The total number of times a station has had to retry while sending a packet.", labels),
      { $0.transmitRetries }
    ),
    (
      .counter(
        "node_wifi_station_transmit_failed_total",
        "The total number of times a station has failed to send a packet.", labels),
      { $0.transmitFailed }
    ),
    (
      .counter(
        "node_wifi_station_beacon_loss_total", "The total number of times a station has detected a beacon loss.",
        labels),
      { $0.beaconLoss }
    ),
    (
      .counter(
        "node_wifi_station_transmitted_packets_total", "The total number of packets transmitted by a station.",
        labels),
      { $0.transmittedPackets }
    ),
    (
      .counter(
        "node_wifi_station_received_packets_total", "The total number of packets received by a station.", labels),
      { $0.receivedPackets }
    ),
  ]

  /// The network that an interface is in.
  struct Network {
    /// 0 authenticated, 1 associated, 2 joined without an access point.
    let status: Int
    let bssid: [UInt8]
    let ssid: String
  }

  struct Station {
    var address: [UInt8] = []
    var connectedSeconds = 0.0
    var inactiveSeconds = 0.0
    var receiveRate = 0.0
    var transmitRate = 0.0
    var receivedBytes = 0.0
    var transmittedBytes = 0.0
    var signal = 0.0
    var transmitRetries = 0.0
    var transmitFailed = 0.0
    var beaconLoss = 0.0
    var transmittedPackets = 0.0
    var receivedPackets = 0.0
  }

  struct Interface {
    let name: String
    /// MHz.
    let frequency: Double
    var network: Network?
    var stations: [Station] = []
  }

  private let filter: NetworkDeviceFilter
  private let fixtures: WifiFixtures?
  private let socket = NetlinkSocket(.generic)
  private var buffer = ByteWriter()
  private var family: GenericFamily?

  init(_ host: Host) throws(CollectorConfigurationError) {
    filter = try NetworkDeviceFilter(host)
    let folder = host.flags[Self.fixtures]
    fixtures = folder.isEmpty ? nil : WifiFixtures(folder)
  }

  func collect(into writer: MetricWriter) throws {
    let interfaces = try fixtures?.interfaces() ?? kernelInterfaces()
    for interface in interfaces where !interface.name.isEmpty && !filter.isIgnored(interface.name) {
      writer.begin(Self.frequency)
      writer.label(interface.name)
      writer.end(interface.frequency * 1000 * 1000)
      if let network = interface.network { write(network, of: interface.name, to: writer) }
      for station in interface.stations { write(station, of: interface.name, to: writer) }
    }
  }

  private func write(_ network: Network, of device: String, to writer: MetricWriter) {
    writer.begin(Self.info)
    label(address: network.bssid, to: writer)
    writer.label(device)
    writer.label(network.status == 0 || network.status == 1 ? "client" : network.status == 2 ? "ad-hoc" : "unknown")
    writer.label(network.ssid)
    writer.end(1.0)
  }

  private func write(_ station: Station, of device: String, to writer: MetricWriter) {
    for metric in Self.metrics {
      writer.begin(metric.family)
      writer.label(device)
      label(address: station.address, to: writer)
      writer.end(metric.value(station))
    }
  }

  private func label(address: [UInt8], to writer: MetricWriter) {
    var text = ByteWriter(capacity: 64)
    text.append(hardwareAddress: address.span.bytes)
    writer.label(text.bytes)
  }

  // MARK: The kernel

  private func kernelInterfaces() throws -> [Interface] {
    let family = try findFamily()
    guard ask(WirelessInterface.request(family)) else {
      // The module may have been unloaded; it has another number when it comes back.
      self.family = nil
      throw NoData("nl80211 does not answer")
    }
    let found = buffer.withBytes { WirelessInterface.all(in: $0, family) }
    return found.filter { !$0.name.isEmpty }.map { wireless in
      var interface = Interface(
        name: String(decoding: wireless.name, as: UTF8.self), frequency: Double(wireless.frequency))
      // An interface that is gone, or of a kind without networks or stations, has none.
      if ask(wireless.networkRequest(family)) {
        interface.network = buffer.withBytes { WirelessNetwork.first(in: $0, family) }.map {
          Network(status: Int($0.status), bssid: $0.bssid, ssid: String(decoding: $0.ssid, as: UTF8.self))
        }
      }
      if ask(wireless.stationsRequest(family)) {
        interface.stations = buffer.withBytes { WirelessStation.all(in: $0, family) }.map(Station.init)
      }
      return interface
    }
  }

  private func findFamily() throws -> GenericFamily {
    if let family { return family }
    do {
      let found = try GenericFamily(WirelessInterface.family, by: socket, through: &buffer)
      family = found
      return found
    } catch {
      guard error.isAbsence || [EPERM, EACCES].contains(error.code) else { throw error }
      throw NoData("the kernel has no nl80211")
    }
  }

  private func ask(_ request: NetlinkRequest) -> Bool {
    do {
      try socket.dump(request, into: &buffer)
      return true
    } catch {
      return false
    }
  }
}

extension WifiCollector.Station {
  init(_ station: WirelessStation) {
    self.init(
      address: station.address, connectedSeconds: Double(station.connectedSeconds),
      inactiveSeconds: Double(station.inactiveMilliseconds) / 1000, receiveRate: Double(station.receiveRate),
      transmitRate: Double(station.transmitRate), receivedBytes: Double(station.receivedBytes),
      transmittedBytes: Double(station.transmittedBytes), signal: Double(station.signal),
      transmitRetries: Double(station.transmitRetries), transmitFailed: Double(station.transmitFailed),
      beaconLoss: Double(station.beaconLoss), transmittedPackets: Double(station.transmittedPackets),
      receivedPackets: Double(station.receivedPackets))
  }
}
