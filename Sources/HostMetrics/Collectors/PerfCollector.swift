// Counts what CPUs do by perf_event_open(2): the kernel's software events, the processor's hardware and cache events
// where it has counters for them, and tracepoints (Documentation/trace/tracepoints.rst).

import Exposition
import Flags
import Glibc
import Kernel

final class PerfCollector: Collector {
  static let name = "perf"
  static let isEnabledByDefault = false

  private static let cpus = Flag(
    "collector.perf.cpus", "", "List of CPUs from which perf metrics should be collected", showsEmptyDefault: true)
  private static let tracepoints = Flag(
    "collector.perf.tracepoint", [String](), "perf tracepoint that should be collected")
  static let flags =
    [cpus.definition, tracepoints.definition]
    + kinds.flatMap { [$0.disable.definition, $0.only.definition] }

  /// Something to count: the name by which the flags choose it, and how it is shown.
  private struct Profiler {
    let name: String
    let event: PerfEvent
    let family: MetricFamily

    init(_ name: String, _ event: PerfEvent, _ metric: String, _ help: String) {
      self.name = name
      self.event = event
      family = .counter("node_perf_\(metric)", help, ["cpu"])
    }
  }

  /// Profilers that are switched off and chosen by flags of their own.
  private struct Kind {
    let name: String
    /// Whether their counters are read at once. The processor's are too few for that.
    let isGroup: Bool
    let profilers: [Profiler]

    var disable: Flag<Bool> {
      Flag("collector.perf.disable-\(name)-profilers", false, "disable perf \(name) profilers")
    }
    var only: Flag<[String]> {
      Flag("collector.perf.\(name)-profilers", [String](), "perf \(name) profilers that should be collected")
    }
  }

  // Numbers of linux/perf_event.h. Cache events: the cache, 0 to read or 1 to write, 0 for all accesses or 1 for misses.
  private static let kinds: [Kind] = [
    Kind(
      name: "hardware", isGroup: false,
      profilers: [
        Profiler("CpuCycles", .hardware(0), "cpucycles_total", "Number of CPU cycles (frequency scaled)"),
        Profiler("CpuInstr", .hardware(1), "instructions_total", "Number of CPU instructions"),
        Profiler(
          "CacheRef", .hardware(2), "cache_refs_total", "Number of cache references (non frequency scaled)"),
        Profiler("CacheMisses", .hardware(3), "cache_misses_total", "Number of cache misses"),
        Profiler("BranchInstr", .hardware(4), "branch_instructions_total", "Number of CPU branch instructions"),
        Profiler("BranchMisses", .hardware(5), "branch_misses_total", "Number of CPU branch misses"),
        Profiler(
          "StalledCyclesFrontend", .hardware(7), "stalled_cycles_frontend_total",
          "Number of stalled frontend CPU cycles"),
        Profiler(
          "StalledCyclesBackend", .hardware(8), "stalled_cycles_backend_total", "Number of stalled backend CPU cycles"),
        Profiler("RefCpuCycles", .hardware(9), "ref_cpucycles_total", "Number of CPU cycles"),
      ]),
    Kind(
      name: "software", isGroup: true,
      profilers: [
        Profiler("PageFault", .software(2), "page_faults_total", "Number of page faults"),
        Profiler("ContextSwitch", .software(3), "context_switches_total", "Number of context switches"),
        Profiler("CpuMigration", .software(4), "cpu_migrations_total", "Number of CPU process migrations"),
        Profiler("MinorFault", .software(5), "minor_faults_total", "Number of minor page faults"),
        Profiler("MajorFault", .software(6), "major_faults_total", "Number of major page faults"),
      ]),
    Kind(
      name: "cache", isGroup: false,
      profilers: [
        Profiler(
          "L1DataReadHit", .cache(0, operation: 0, result: 0), "cache_l1d_read_hits_total",
          "Number L1 data cache read hits"),
        Profiler(
          "L1DataReadMiss", .cache(0, operation: 0, result: 1), "cache_l1d_read_misses_total",
          "Number L1 data cache read misses"),
        Profiler(
          "L1DataWriteHit", .cache(0, operation: 1, result: 0), "cache_l1d_write_hits_total",
          "Number L1 data cache write hits"),
        Profiler(
          "L1InstrReadMiss", .cache(1, operation: 0, result: 1), "cache_l1_instr_read_misses_total",
          "Number instruction L1 instruction read misses"),
        Profiler(
          "InstrTLBReadHit", .cache(4, operation: 0, result: 0), "cache_tlb_instr_read_hits_total",
          "Number instruction TLB read hits"),
        Profiler(
          "InstrTLBReadMiss", .cache(4, operation: 0, result: 1), "cache_tlb_instr_read_misses_total",
          "Number instruction TLB read misses"),
        Profiler(
          "LLReadHit", .cache(2, operation: 0, result: 0), "cache_ll_read_hits_total", "Number last level read hits"),
        Profiler(
          "LLReadMiss", .cache(2, operation: 0, result: 1), "cache_ll_read_misses_total",
          "Number last level read misses"),
        Profiler(
          "LLWriteHit", .cache(2, operation: 1, result: 0), "cache_ll_write_hits_total",
          "Number last level write hits"),
        Profiler(
          "LLWriteMiss", .cache(2, operation: 1, result: 1), "cache_ll_write_misses_total",
          "Number last level write misses"),
        Profiler(
          "BPUReadHit", .cache(5, operation: 0, result: 0), "cache_bpu_read_hits_total", "Number BPU read hits"),
        Profiler(
          "BPUReadMiss", .cache(5, operation: 0, result: 1), "cache_bpu_read_misses_total", "Number BPU read misses"),
      ]),
  ]

  /// Counters of one kind that run on one CPU.
  private struct Running {
    let cpu: Int
    let families: [MetricFamily]
    let counters: PerfCounters
  }

  private var running: [Running] = []
  /// Why kinds that were not switched off have no counter on any CPU, or not on all, although the machine may have them.
  private var failures: [(reason: String, kinds: [String])] = []

  init(_ host: Host) throws(CollectorConfigurationError) {
    let list = host.flags[Self.cpus]
    let cpus = list.isEmpty ? Self.onlineCPUs(host) : try Self.cpus(in: list)
    for kind in Self.kinds where !host.flags[kind.disable] {
      let names = host.flags[kind.only]
      let chosen = kind.profilers.filter { names.contains($0.name) }
      start(chosen.isEmpty ? kind.profilers : chosen, kind.name, isGroup: kind.isGroup, cpus)
    }
    let tracepoints = try host.flags[Self.tracepoints].map { text throws(CollectorConfigurationError) in
      try Self.tracepoint(text, host)
    }
    if !tracepoints.isEmpty { start(tracepoints, "tracepoint", isGroup: true, cpus) }
  }

  /// What the processor has no counters for is left out, as most are in a virtual machine.
  private func start(_ profilers: [Profiler], _ kind: String, isGroup: Bool, _ cpus: [Int]) {
    let families = profilers.map(\.family)
    var failure: KernelError?
    let before = running.count
    for cpu in cpus {
      let counters = PerfCounters(profilers.map(\.event), cpu: cpu, isGroup: isGroup)
      if counters.count > 0 { running.append(Running(cpu: cpu, families: families, counters: counters)) }
      if failure?.isAbsence ?? true { failure = counters.failure ?? failure }
    }
    guard let failure, failure.code == EMFILE || (running.count == before && !failure.isAbsence) else { return }
    let reason = "\(failure)\(Self.hint(failure))"
    if let same = failures.firstIndex(where: { $0.reason == reason }) {
      failures[same].kinds.append(kind)
    } else {
      failures.append((reason, [kind]))
    }
  }

  /// What can be done about it.
  private static func hint(_ failure: KernelError) -> String {
    switch failure.code {
    case EACCES, EPERM: ", which takes CAP_PERFMON or kernel.perf_event_paranoid at 0 or lower"
    case EMFILE: ", which takes a higher limit of open files"
    default: ""
    }
  }

  func collect(into writer: MetricWriter) throws {
    var failures = failures.map { "cannot count \($0.kinds.joined(separator: ", ")) events: \($0.reason)" }
    for part in running {
      do {
        try part.counters.read { place, count in
          writer.begin(part.families[place])
          writer.label(part.cpu)
          writer.end(count)
        }
      } catch { failures.append(error.description) }
    }
    if running.isEmpty, failures.isEmpty { throw NoData("this machine has none of the counters") }
    guard failures.isEmpty else { throw PerfFailure(description: failures.joined(separator: "; ")) }
  }

  // MARK: What the flags say

  /// The CPUs of a list such as "0-3,5,8-16:4", the last with a stride.
  static func cpus(in list: String) throws(CollectorConfigurationError) -> [Int] {
    let wrong = CollectorConfigurationError("--collector.perf.cpus: invalid flag value \"\(list)\"")
    var cpus: [Int] = []
    for part in list.split(separator: ",", omittingEmptySubsequences: false) {
      let halves = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let bounds = halves[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int($0) }
      guard let first = bounds[0], let last = bounds.count > 1 ? bounds[1] : first,
        let stride = halves.count > 1 ? Int(halves[1]) : 1, stride > 0, (0...maxCPU).contains(first), last <= maxCPU,
        bounds.count > 1 || halves.count == 1
      else { throw wrong }
      cpus += Swift.stride(from: first, through: last, by: stride)
    }
    return cpus
  }

  /// No kernel knows more.
  private static let maxCPU = 8191

  private static func onlineCPUs(_ host: Host) -> [Int] {
    let list = AttributeReader().text(host.sys("devices/system/cpu"), "online")
    if let list, let cpus = try? cpus(in: list) { return cpus }
    return Array(0..<max(sysconf(CInt(_SC_NPROCESSORS_ONLN)), 1))
  }

  /// The tracepoint named by "SUBSYSTEM:EVENT".
  private static func tracepoint(_ text: String, _ host: Host) throws(CollectorConfigurationError) -> Profiler {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2,
      parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(\.isPartOfName) })
    else { throw CollectorConfigurationError("invalid tracepoint config \(text)") }
    for folder in ["kernel/tracing", "kernel/debug/tracing"] {
      let event = host.sys("\(folder)/events/\(parts[0])/\(parts[1])")
      guard let number = AttributeReader().unsigned(event, "id") else { continue }
      return Profiler(text, .tracepoint(number), "\(parts[0])_\(parts[1])", "Perf tracepoint \(text)")
    }
    throw CollectorConfigurationError("tracepoint \(text) is not in \(host.sys("kernel/tracing")), or cannot be read")
  }
}

/// What could not be counted.
private struct PerfFailure: Error, CustomStringConvertible { let description: String }
