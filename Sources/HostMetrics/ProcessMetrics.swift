// Reads /proc/self/{stat,fd,net/netstat} and getrlimit(2): the process_* metrics that every Prometheus client library
// has (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics).

import Bytes
import Exposition
import Glibc
import Kernel

/// What this process itself uses.
public final class ProcessMetrics {
  private static let cpu = MetricFamily.counter(
    "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
  private static let maxDescriptors = MetricFamily.gauge(
    "process_max_fds", "Maximum number of open file descriptors.")
  private static let received = MetricFamily.counter(
    "process_network_receive_bytes_total", "Number of bytes received by the process over the network.")
  private static let sent = MetricFamily.counter(
    "process_network_transmit_bytes_total", "Number of bytes sent by the process over the network.")
  private static let openDescriptors = MetricFamily.gauge("process_open_fds", "Number of open file descriptors.")
  private static let resident = MetricFamily.gauge("process_resident_memory_bytes", "Resident memory size in bytes.")
  private static let start = MetricFamily.gauge(
    "process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
  private static let virtual = MetricFamily.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.")
  private static let virtualLimit = MetricFamily.gauge(
    "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.")

  private let statFile = KernelFile("/proc/self/stat", .onePiece)
  private let netstatFile = KernelFile("/proc/self/net/netstat", .onePiece)
  private var buffer = ByteWriter(capacity: 4096)
  private let bootTime: Double

  public init() {
    var real = timespec()
    var boot = timespec()
    clock_gettime(CLOCK_REALTIME, &real)
    clock_gettime(CLOCK_BOOTTIME, &boot)
    func seconds(_ time: timespec) -> Double { Double(time.tv_sec) + Double(time.tv_nsec) / 1e9 }
    bootTime = ((seconds(real) - seconds(boot)) * 100).rounded() / 100
  }

  /// Writes what can be read; the rest is left out.
  public func write(to writer: MetricWriter) {
    try? statFile.read(into: &buffer) { bytes in writeStat(bytes, to: writer) }
    writer.sample(Self.maxDescriptors, limit(of: __rlimit_resource_t(RLIMIT_NOFILE.rawValue)))
    writer.sample(Self.virtualLimit, limit(of: __rlimit_resource_t(RLIMIT_AS.rawValue)))
    // Since Linux 6.2 the directory's size is the number of descriptors.
    if let count = try? Directory.size("/proc/self/fd"), count > 0 {
      writer.sample(Self.openDescriptors, Double(count))
    } else if let names = try? Directory.names("/proc/self/fd") {
      writer.sample(Self.openDescriptors, Double(names.count))
    }
    try? netstatFile.read(into: &buffer) { bytes in writeNetwork(bytes, to: writer) }
  }

  private func limit(of resource: __rlimit_resource_t) -> Double {
    var limit = rlimit()
    getrlimit(resource, &limit)
    return Double(limit.rlim_cur)
  }

  /// proc_pid_stat(5); fields are counted behind the command's closing parenthesis, the state being the first.
  private func writeStat(_ bytes: RawSpan, to writer: MetricWriter) {
    guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return }
    var fields = ByteScanner(bytes.extracting(end + 1..<bytes.byteCount))
    var numbers = InlineArray<22, UInt64>(repeating: 0)
    for index in numbers.indices { numbers[index] = fields.unsigned() ?? 0 }
    let ticks = 100.0
    writer.sample(Self.cpu, Double(numbers[11] &+ numbers[12]) / ticks)
    writer.sample(Self.start, bootTime + Double(numbers[19]) / ticks)
    writer.sample(Self.virtual, numbers[20])
    writer.sample(Self.resident, Double(numbers[21]) * Double(sysconf(Int32(_SC_PAGESIZE))))
  }

  /// The lines "IpExt:" come in pairs: names, then numbers.
  private func writeNetwork(_ bytes: RawSpan, to writer: MetricWriter) {
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      guard line.starts(with: "IpExt:"), let values = lines.line() else { continue }
      var names = ByteScanner(line)
      var numbers = ByteScanner(values)
      while let name = names.field(), let number = numbers.field() {
        guard let value = UInt64(decimal: number) else { continue }
        if name.equals("InOctets") { writer.sample(Self.received, value) }
        if name.equals("OutOctets") { writer.sample(Self.sent, value) }
      }
    }
  }
}
