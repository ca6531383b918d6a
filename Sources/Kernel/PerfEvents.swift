// Counts events of CPUs by perf_event_open(2): the kernel's own, the processor's, its caches', and tracepoints.

import CLinux
import Glibc

/// What can be counted.
public enum PerfEvent: Sendable, Equatable {
  /// PERF_COUNT_HW_…
  case hardware(UInt64)
  /// PERF_COUNT_SW_…
  case software(UInt64)
  /// PERF_COUNT_HW_CACHE_…: the cache, the operation on it, its result.
  case cache(UInt64, operation: UInt64, result: UInt64)
  /// The number in `events/SUBSYSTEM/EVENT/id` of tracefs.
  case tracepoint(UInt64)

  /// perf_event_attr.type and .config.
  fileprivate var attributes: (type: UInt32, config: UInt64) {
    switch self {
    case .hardware(let number): (0, number)
    case .software(let number): (1, number)
    case .tracepoint(let number): (2, number)
    case .cache(let cache, let operation, let result): (3, cache | operation << 8 | result << 16)
    }
  }
}

/// Running counters of one CPU, opened with it and closed with it.
public final class PerfCounters {
  /// As many events are read together.
  private static let capacity = 64

  /// What one read(2) gives: one counter, or a group of them.
  private struct Reading {
    let descriptors: [Int32]
    /// The events' places in `events`.
    let places: [Int]
  }

  private let subject: String
  private let isGroup: Bool
  private var readings: [Reading] = []
  /// Why the first could not be opened of those that the machine has, else of all.
  public private(set) var failure: KernelError?

  /// The number of counters that run.
  public var count: Int { readings.reduce(0) { $0 + $1.places.count } }

  /// Opens and starts the counters. What the CPU or the kernel does not have is left out.
  ///
  /// - Parameter isGroup: whether all count at the same times and are read at once. That suits software events and
  ///   tracepoints; of a processor's few counters, a group that needs too many would never run.
  public init(_ events: [PerfEvent], cpu: Int, isGroup: Bool) {
    subject = "CPU \(cpu)"
    self.isGroup = isGroup
    var opened: [(descriptor: Int32, place: Int)] = []
    for (place, event) in events.prefix(Self.capacity).enumerated() {
      let (type, config) = event.attributes
      let leader = isGroup ? opened.first?.descriptor ?? -1 : -1
      let descriptor = clinux_open_counter(type, config, CInt(clamping: cpu), leader, isGroup)
      if descriptor < 0 {
        fail("perf_event_open")
      } else {
        opened.append((descriptor, place))
      }
    }
    let groups = isGroup ? (opened.isEmpty ? [] : [opened]) : opened.map { [$0] }
    for group in groups {
      if clinux_start_counter(group[0].descriptor) < 0 {
        fail("start a counter of")
        for counter in group { close(counter.descriptor) }
      } else {
        readings.append(Reading(descriptors: group.map(\.descriptor), places: group.map(\.place)))
      }
    }
  }

  deinit { for reading in readings { for descriptor in reading.descriptors { close(descriptor) } } }

  private func fail(_ operation: String) {
    let error = KernelError(operation, subject)
    if failure?.isAbsence ?? true { failure = error }
  }

  /// Hands over the count of each event by its place in the list that the counters were opened with. The counts are not
  /// scaled for the time in which other counters had the processor's registers.
  public func read(_ body: (Int, UInt64) -> Void) throws(KernelError) {
    var numbers = InlineArray<67, UInt64>(repeating: 0)
    for reading in readings {
      // One counter: its value, two times. A group: their number, two times, their values.
      let length = (isGroup ? 3 + reading.places.count : 3) * 8
      var span = numbers.mutableSpan
      let received = span.withUnsafeMutableBytes { Glibc.read(reading.descriptors[0], $0.baseAddress, $0.count) }
      guard received >= 0 else { throw KernelError("read the counters of", subject) }
      guard received == length else { throw KernelError("read the counters of", subject, code: EIO) }
      for (index, place) in reading.places.enumerated() { body(place, numbers[isGroup ? 3 + index : 0]) }
    }
  }
}
