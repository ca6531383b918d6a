// Reads the NFS mounts of /proc/self/mountstats (fs/nfs/super.c and net/sunrpc/stats.c of the kernel):
//
//     device 192.168.1.1:/srv mounted on /mnt with fstype nfs4 statvers=1.1
//             age:    13968
//             events: 52 226 0 …      bytes: 1207640230 0 …      xprt: tcp 832 0 1 …
//             per-op statistics
//                     READ: 1298 1298 0 207680 1210292152 6 79386 79407
//
// and the servers' addresses from /proc/self/mountinfo, which lists the same mounts in the same order.

import Bytes
import Exposition
import Kernel

final class MountstatsCollector: Collector {
  static let name = "mountstats"
  static let isEnabledByDefault = false

  private static let mountLabels = ["export", "mountaddr", "protocol"]

  private static func counter(_ name: String, _ help: String) -> MetricFamily {
    .counter("node_mountstats_nfs_\(name)_total", help, mountLabels)
  }

  private static func transport(_ name: String, _ help: String, _ type: MetricType = .counter) -> MetricFamily {
    let ending = type == .counter ? "_total" : ""
    return MetricFamily(
      "node_mountstats_nfs_transport_\(name)\(ending)", type, help, labels: mountLabels + ["transport"])
  }

  private static func operation(_ name: String, _ help: String) -> MetricFamily {
    .counter("node_mountstats_nfs_operations_\(name)_total", help, ["export", "mountaddr", "operation", "protocol"])
  }

  private static let info = MetricFamily.gauge(
    "node_mountstats_nfs_mountpoint_info", "Info metric for an NFS mountpoint.",
    ["export", "mountaddr", "mountpoint", "protocol"])
  private static let age = counter("age_seconds", "The age of the NFS mount in seconds.")

  /// In the order of the numbers of a line `bytes:`.
  private static let bytes = [
    counter("read_bytes", "Number of bytes read using the read() syscall."),
    counter("write_bytes", "Number of bytes written using the write() syscall."),
    counter("direct_read_bytes", "Number of bytes read using the read() syscall in O_DIRECT mode."),
    counter("direct_write_bytes", "Number of bytes written using the write() syscall in O_DIRECT mode."),
    counter("total_read_bytes", "Number of bytes read from the NFS server, in total."),
    counter("total_write_bytes", "Number of bytes written to the NFS server, in total."),
    counter("read_pages", "Number of pages read directly via mmap()'d files."),
    counter("write_pages", "Number of pages written directly via mmap()'d files."),
  ]

  /// In the order of the numbers of a line `events:`; one is unknown and not shown.
  private static let events: [MetricFamily?] = [
    counter("event_inode_revalidate", "Number of times cached inode attributes are re-validated from the server."),
    counter("event_dnode_revalidate", "Number of times cached dentry nodes are re-validated from the server."),
    counter("event_data_invalidate", "Number of times an inode cache is cleared."),
    counter("event_attribute_invalidate", "Number of times cached inode attributes are invalidated."),
    counter("event_vfs_open", "Number of times cached inode attributes are invalidated."),
    counter("event_vfs_lookup", "Number of times a directory lookup has occurred."),
    counter("event_vfs_access", "Number of times permissions have been checked."),
    counter("event_vfs_update_page", "Number of updates (and potential writes) to pages."),
    counter("event_vfs_read_page", "Number of pages read directly via mmap()'d files."),
    counter("event_vfs_read_pages", "Number of times a group of pages have been read."),
    counter("event_vfs_write_page", "Number of pages written directly via mmap()'d files."),
    counter("event_vfs_write_pages", "Number of times a group of pages have been written."),
    counter("event_vfs_getdents", "Number of times directory entries have been read with getdents()."),
    counter("event_vfs_setattr", "Number of times directory entries have been read with getdents()."),
    counter("event_vfs_flush", "Number of pending writes that have been forcefully flushed to the server."),
    counter("event_vfs_fsync", "Number of times fsync() has been called on directories and files."),
    counter("event_vfs_lock", "Number of times locking has been attempted on a file."),
    counter("event_vfs_file_release", "Number of times files have been closed and released."),
    nil,
    counter("event_truncation", "Number of times files have been truncated."),
    counter("event_write_extension", "Number of times a file has been grown due to writes beyond its existing end."),
    counter("event_silly_rename", "Number of times a file was removed while still open by another process."),
    counter("event_short_read", "Number of times the NFS server gave less data than expected while reading."),
    counter("event_short_write", "Number of times the NFS server wrote less data than expected while writing."),
    counter(
      "event_jukebox_delay", "Number of times the NFS server indicated EJUKEBOX; retrieving data from offline storage."),
    counter("event_pnfs_read", "Number of NFS v4.1+ pNFS reads."),
    counter("event_pnfs_write", "Number of NFS v4.1+ pNFS writes."),
  ]

  /// Numbers of a line `xprt:`, by their place in TCP's.
  private static let transports: [(place: Int, family: MetricFamily)] = [
    (
      1,
      transport("bind", "Number of times the client has had to establish a connection from scratch to the NFS server.")
    ),
    (2, transport("connect", "Number of times the client has made a TCP connection to the NFS server.")),
    (
      idle, transport("idle_time_seconds", "Duration since the NFS mount last saw any RPC traffic, in seconds.", .gauge)
    ),
    (5, transport("sends", "Number of RPC requests for this mount sent to the NFS server.")),
    (6, transport("receives", "Number of RPC responses for this mount received from the NFS server.")),
    (
      7,
      transport(
        "bad_transaction_ids",
        "Number of times the NFS server sent a response with a transaction ID unknown to this client.")
    ),
    (9, transport("backlog_queue", "Total number of items added to the RPC backlog queue.")),
    (10, transport("maximum_rpc_slots", "Maximum number of simultaneously active RPC requests ever used.", .gauge)),
    (11, transport("sending_queue", "Total number of items added to the RPC transmission sending queue.")),
    (12, transport("pending_queue", "Total number of items added to the RPC transmission pending queue.")),
  ]

  /// In the order of an operation's numbers; times are in milliseconds.
  private static let operations: [(family: MetricFamily, isTime: Bool)] = [
    (operation("requests", "Number of requests performed for a given operation."), false),
    (
      operation("transmissions", "Number of times an actual RPC request has been transmitted for a given operation."),
      false
    ),
    (operation("major_timeouts", "Number of times a request has had a major timeout for a given operation."), false),
    (operation("sent_bytes", "Number of bytes sent for a given operation, including RPC headers and payload."), false),
    (
      operation("received_bytes", "Number of bytes received for a given operation, including RPC headers and payload."),
      false
    ),
    (
      operation(
        "queue_time_seconds",
        "Duration all requests spent queued for transmission for a given operation before they were sent, in seconds."),
      true
    ),
    (
      operation(
        "response_time_seconds",
        "Duration all requests took to get a reply back after a request for a given operation was transmitted, in seconds."
      ), true
    ),
    (
      operation(
        "request_time_seconds",
        "Duration all requests took from when a request was enqueued to when it was completely handled for a given operation, in seconds."
      ), true
    ),
  ]

  private let statistics: KernelFile
  private let mountinfo: KernelFile
  private var buffer = ByteWriter(capacity: 16384)

  init(_ host: Host) {
    statistics = KernelFile(host.proc("self/mountstats"))
    mountinfo = KernelFile(host.proc("self/mountinfo"))
  }

  func collect(into writer: MetricWriter) throws {
    let mounts = try statistics.read(into: &buffer) { bytes in NFSMountStatistics.all(in: bytes) }
    guard !mounts.isEmpty else { return }
    let addresses = try mountinfo.read(into: &buffer) { bytes in Self.addresses(bytes) }
    var seenMountPoints: Set<[String]> = []
    var seenDevices: Set<[String]> = []
    for mount in mounts {
      let address = mount.position < addresses.count ? addresses[mount.position] : ""
      for transport in mount.transports {
        let labels = [mount.device, address, transport.kind]
        let infoLabels = [mount.device, address, mount.mountPoint, transport.kind]
        if seenMountPoints.insert(infoLabels).inserted { writer.write(Self.info, infoLabels, 1) }
        // All mounts of one export share its numbers.
        guard seenDevices.insert(labels).inserted else { break }
        write(mount, labels, into: writer)
      }
    }
  }

  private func write(_ mount: NFSMountStatistics, _ labels: [String], into writer: MetricWriter) {
    writer.write(Self.age, labels, Double(mount.age))
    for (family, value) in zip(Self.bytes, mount.bytes) { writer.write(family, labels, Double(value)) }
    for (family, value) in zip(Self.events, mount.events) {
      if let family { writer.write(family, labels, Double(value)) }
    }
    for (index, transport) in mount.transports.enumerated() {
      for (place, family) in Self.transports {
        let value = transport.numbers[place]
        writer.write(family, labels + [String(index)], Double(place == Self.idle ? Self.bounded(value) : value))
      }
    }
    for operation in mount.operations {
      let labels = [labels[0], labels[1], operation.name, labels[2]]
      for ((family, isTime), value) in zip(Self.operations, operation.numbers) {
        writer.write(family, labels, isTime ? Double(Self.bounded(value)) / 1000 : Double(value))
      }
    }
  }

  private static let idle = 4

  /// Kernels give times that are negative as huge ones; node_exporter takes them modulo 2^53.
  private static func bounded(_ time: UInt64) -> UInt64 { time % (1 << 53) }

  /// The option "addr" of each mount, empty when it has none; the file systems' options are a line's last field.
  private static func addresses(_ bytes: RawSpan) -> [String] {
    var addresses: [String] = []
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      let start = line.lastIndex(of: .space).map { $0 + 1 } ?? 0
      let options = String(utf8: line.extracting(start..<line.byteCount)).split(separator: ",")
      let address = options.last { $0.hasPrefix("addr=") }
      addresses.append(address.map { String($0.dropFirst(5)) } ?? "")
    }
    return addresses
  }
}
