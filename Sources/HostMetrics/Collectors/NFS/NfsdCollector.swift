// Reads /proc/net/rpc/nfsd, the calls of the NFS server (fs/nfsd/stats.c of the kernel).

import Bytes
import Exposition
import Kernel

final class NfsdCollector: Collector {
  static let name = "nfsd"

  private static let packets = MetricFamily.counter(
    "node_nfsd_packets_total", "Total NFSd network packets (sent+received) by protocol type.", ["proto"])
  private static let errors = MetricFamily.counter(
    "node_nfsd_rpc_errors_total", "Total number of NFSd RPC errors by error type.", ["error"])
  private static let requests = MetricFamily.counter(
    "node_nfsd_requests_total", "Total number NFSd Requests by method and protocol.", ["method", "proto"])

  private static let table = RPCTable(lines: [
    .init(
      "rc", width: 3,
      [
        (
          0,
          .counter(
            "node_nfsd_reply_cache_hits_total",
            "Total number of NFSd Reply Cache hits (client lost server response)."), []
        ),
        (
          1,
          .counter(
            "node_nfsd_reply_cache_misses_total",
            "Total number of NFSd Reply Cache an operation that requires caching (idempotent)."), []
        ),
        (
          2,
          .counter(
            "node_nfsd_reply_cache_nocache_total",
            "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…)."), []
        ),
      ]),
    .init(
      "fh", width: 1,
      [(0, .counter("node_nfsd_file_handles_stale_total", "Total number of NFSd stale file handles"), [])]),
    .init(
      "io", width: 2,
      [
        (0, .counter("node_nfsd_disk_bytes_read_total", "Total NFSd bytes read."), []),
        (1, .counter("node_nfsd_disk_bytes_written_total", "Total NFSd bytes written."), []),
      ]),
    .init(
      "th", width: 1,
      [(0, .gauge("node_nfsd_server_threads", "Total number of NFSd kernel threads that are running."), [])]),
    .init(
      "ra", width: 12,
      [
        (0, .gauge("node_nfsd_read_ahead_cache_size_blocks", "How large the read ahead cache is in blocks."), []),
        (
          11,
          .counter(
            "node_nfsd_read_ahead_cache_not_found_total", "Total number of NFSd read ahead cache not found."), []
        ),
      ]),
    .init(
      "net", width: 4,
      [
        (1, packets, ["udp"]), (2, packets, ["tcp"]),
        (3, .counter("node_nfsd_connections_total", "Total number of NFSd TCP connections."), []),
      ]),
    .init(
      "rpc", width: 5,
      [
        (2, errors, ["fmt"]), (3, errors, ["auth"]), (4, errors, ["cInt"]),
        (0, .counter("node_nfsd_server_rpcs_total", "Total number of NFSd RPCs."), []),
      ]),
    .init(
      "proc2", requests, proto: "2", required: 18,
      "- GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir RmDir ReadDir "
        + "FsStat"),
    .init(
      "proc3", requests, proto: "3", required: 22,
      "- GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename Link ReadDir "
        + "ReadDirPlus FsStat FsInfo PathConf Commit"),
    .init(
      "proc4ops", requests, proto: "4", required: 39,
      "- - - Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku Lookup LookupRoot "
        + "Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH - - Read ReadDir ReadLink Remove Rename Renew RestoreFH "
        + "SaveFH SecInfo SetAttr SetClientID SetClientIDConfirm Verify Write RelLockOwner"),
    .init("wdeleg_getattr", width: 1, [(0, requests, ["WdelegGetattr", "4"])]),
  ])

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 2048)

  init(_ host: Host) { file = KernelFile(host.proc("net/rpc/nfsd")) }

  func collect(into writer: MetricWriter) throws {
    guard try file.readIfPresent(into: &buffer) else { throw NoData("the NFS server is not loaded") }
    try buffer.withBytes { bytes in try Self.table.write(bytes, of: file.path, into: writer) }
  }
}
