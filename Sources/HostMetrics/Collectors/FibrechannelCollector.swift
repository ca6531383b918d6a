// Reads /sys/class/fc_host/hostN and its folder statistics (Documentation/scsi/scsi_fc_transport.rst): host bus
// adapters for Fibre Channel.

import Bytes
import Exposition
import Kernel

final class FibrechannelCollector: Collector {
  static let name = "fibrechannel"

  private static let info = DeviceInfo(
    "node_fibrechannel_info", "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.", device: "fc_host",
    [
      "speed": "speed", "port_state": "port_state", "port_type": "port_type", "port_id": "port_id",
      "port_name": "port_name", "fabric_name": "fabric_name", "symbolic_name": "symbolic_name",
      "supported_classes": "supported_classes", "supported_speeds": "supported_speeds", "dev_loss_tmo": "dev_loss_tmo",
    ])
  /// Files whose "0x" is not shown.
  private static let hexadecimal: Set = ["port_id", "port_name", "fabric_name"]

  private static let counters = [
    counter("dumped_frames", "dumped_frames_total", "Number of dumped frames"),
    counter("error_frames", "error_frames_total", "Number of errors in frames"),
    counter("invalid_crc_count", "invalid_crc_total", "Invalid Cyclic Redundancy Check count"),
    counter("rx_frames", "rx_frames_total", "Number of frames received"),
    counter("rx_words", "rx_words_total", "Number of words received by host port"),
    counter("tx_frames", "tx_frames_total", "Number of frames transmitted by host port"),
    counter("tx_words", "tx_words_total", "Number of words transmitted by host port"),
    counter(
      "seconds_since_last_reset", "seconds_since_last_reset_total", "Number of seconds since last host port reset"),
    counter("invalid_tx_word_count", "invalid_tx_words_total", "Number of invalid words transmitted by host port"),
    counter("link_failure_count", "link_failure_total", "Number of times the host port link has failed"),
    counter(
      "loss_of_sync_count", "loss_of_sync_total",
      "Number of failures on either bit or transmission word boundaries"),
    counter("loss_of_signal_count", "loss_of_signal_total", "Number of times signal has been lost"),
    counter("nos_count", "nos_total", "Number Not_Operational Primitive Sequence received by host port"),
    counter("fcp_packet_aborts", "fcp_packet_aborts_total", "Number of aborted packets"),
  ]

  /// A counter that an adapter does not have stands there as -1: all bits set.
  private static let counterFormat = NumberFormat { text in
    NumberFormat.unsignedNumber(text).flatMap { $0 == .max ? nil : Double($0) }
  }

  private static func counter(_ file: String, _ name: String, _ help: String) -> Attribute {
    Attribute("statistics/\(file)", .counter("node_fibrechannel_\(name)", help, ["fc_host"]), counterFormat)
  }

  private var hosts: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader.short()

  init(_ host: Host) { hosts = DeviceFolders(host.sys("class/fc_host")) }

  func collect(into writer: MetricWriter) throws {
    for host in try hosts.presentOrNoData() {
      Self.info.write(host.name, host.path, reader, into: writer) { file in Self.hexadecimal.contains(file) ? 2 : 0 }
      reader.write(Self.counters, of: host.path, labels: [host.name], into: writer)
    }
  }
}
