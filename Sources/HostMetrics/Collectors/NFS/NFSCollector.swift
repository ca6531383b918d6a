// Reads /proc/net/rpc/nfs, the calls of the NFS client (net/sunrpc/stats.c and fs/nfs of the kernel).

import Bytes
import Exposition
import Kernel

final class NFSCollector: Collector {
  static let name = "nfs"

  private static let packets = MetricFamily.counter(
    "node_nfs_packets_total", "Total NFSd network packets (sent+received) by protocol type.", ["protocol"])
  private static let requests = MetricFamily.counter(
    "node_nfs_requests_total", "Number of NFS procedures invoked.", ["method", "proto"])

  private static let table = RPCTable(lines: [
    .init(
      "net", width: 4,
      [
        (1, packets, ["udp"]), (2, packets, ["tcp"]),
        (3, .counter("node_nfs_connections_total", "Total number of NFSd TCP connections."), []),
      ]),
    .init(
      "rpc", width: 3,
      [
        (0, .counter("node_nfs_rpcs_total", "Total number of RPCs performed."), []),
        (1, .counter("node_nfs_rpc_retransmissions_total", "Number of RPC transmissions performed."), []),
        (
          2,
          .counter(
            "node_nfs_rpc_authentication_refreshes_total", "Number of RPC authentication refreshes performed."), []
        ),
      ]),
    .init(
      "proc2", requests, proto: "2", required: 18,
      "Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir RmDir "
        + "ReadDir FsStat"),
    .init(
      "proc3", requests, proto: "3", required: 22,
      "Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename Link "
        + "ReadDir ReadDirPlus FsStat FsInfo PathConf Commit"),
    .init(
      "proc4", requests, proto: "4", required: 0,
      "Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew SetClientID "
        + "SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove Rename Link Symlink Create "
        + "Pathconf StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL SetACL FsLocations ReleaseLockowner Secinfo "
        + "FsidPresent ExchangeID CreateSession DestroySession Sequence GetLeaseTime ReclaimComplete GetDeviceInfo "
        + "LayoutGet LayoutCommit LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList BindConnToSession "
        + "DestroyClientID Seek Allocate DeAllocate LayoutStats Clone"),
  ])

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 2048)

  init(_ host: Host) { file = KernelFile(host.proc("net/rpc/nfs")) }

  func collect(into writer: MetricWriter) throws {
    guard try file.readIfPresent(into: &buffer) else { throw NoData("the NFS client is not loaded") }
    try buffer.withBytes { bytes in try Self.table.write(bytes, of: file.path, into: writer) }
  }
}
