// Reads /sys/class/scsi_tape/stN/stats (Documentation/scsi/st.rst, "Sysfs and Statistics for Tape Devices").

import Exposition
import Flags
import Kernel

final class TapestatsCollector: Collector {
  static let name = "tapestats"
  static let flags = [ignored.definition]

  private static let ignored = Flag(
    "collector.tapestats.ignored-devices", "^$", "Regexp of devices to ignore for tapestats.")

  private static let attributes = [
    Attribute(
      "stats/in_flight",
      .gauge("node_tape_io_now", "The number of I/Os currently outstanding to this device.", ["device"]), .unsigned),
    counter(
      "io_ns", "io_time_seconds_total",
      "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape "
        + "movement commands such as seeking between file or set marks and implicit tape movement such as when rewind "
        + "on close tape devices are used.", .times(0.000000001)),
    counter(
      "other_cnt", "io_others_total",
      "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete "
        + "these commands uses the following calculation "
        + "io_time_seconds_total-read_time_seconds_total-write_time_seconds_total"),
    counter("read_byte_cnt", "read_bytes_total", "The number of bytes read from the tape drive."),
    counter("read_cnt", "reads_completed_total", "The number of read requests issued to the tape drive."),
    counter(
      "read_ns", "read_time_seconds_total", "The amount of time spent waiting for read requests to complete.",
      .times(0.000000001)),
    counter(
      "resid_cnt", "residual_total",
      "The number of times during a read or write we found the residual amount to be non-zero. This should mean that "
        + "a program is issuing a read larger thean the block size on tape. For write not all data made it to tape."),
    counter("write_byte_cnt", "written_bytes_total", "The number of bytes written to the tape drive."),
    counter("write_cnt", "writes_completed_total", "The number of write requests issued to the tape drive."),
    counter(
      "write_ns", "write_time_seconds_total", "The amount of time spent waiting for write requests to complete.",
      .times(0.000000001)),
  ]

  private static func counter(
    _ file: String, _ name: String, _ help: String, _ format: NumberFormat = .unsigned
  ) -> Attribute {
    Attribute("stats/\(file)", .counter("node_tape_\(name)", help, ["device"]), format)
  }

  private var tapes: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader.short()

  init(_ host: Host) throws(CollectorConfigurationError) {
    let filter = try NameFilter(exclude: host.flags[Self.ignored])
    // A drive has up to eight names; nst0 and st0a are modes of st0 with the same counters.
    tapes = DeviceFolders(host.sys("class/scsi_tape")) { name in
      name.number(after: "st") != nil && !filter.isIgnored(name)
    }
  }

  func collect(into writer: MetricWriter) throws {
    for tape in try tapes.presentOrNoData() {
      reader.write(Self.attributes, of: tape.path, labels: [tape.name], into: writer)
    }
  }
}
