// The kernel's clock discipline: adjtimex(2).

import CLinux
import Exposition
import Glibc
import Kernel

final class TimexCollector: Collector {
  static let name = "timex"

  /// What a field of the structure is counted in.
  private enum Unit {
    case plain, microseconds
    /// Nanoseconds if the status has STA_NANO, else microseconds.
    case fine
    /// Parts per million with a 16-bit fraction.
    case scaledRatio
  }

  private static let fields: [(family: MetricFamily, unit: Unit, value: @Sendable (timex) -> Int)] = [
    (
      .gauge("node_timex_offset_seconds", "Time offset in between local system and reference clock."), .fine,
      { $0.offset }
    ),
    (.gauge("node_timex_maxerror_seconds", "Maximum error in seconds."), .microseconds, { $0.maxerror }),
    (.gauge("node_timex_estimated_error_seconds", "Estimated error in seconds."), .microseconds, { $0.esterror }),
    (.gauge("node_timex_status", "Value of the status array bits."), .plain, { Int($0.status) }),
    (.gauge("node_timex_loop_time_constant", "Phase-locked loop time constant."), .plain, { $0.constant }),
    (.gauge("node_timex_tick_seconds", "Seconds between clock ticks."), .microseconds, { $0.tick }),
    (.gauge("node_timex_pps_frequency_hertz", "Pulse per second frequency."), .scaledRatio, { $0.ppsfreq }),
    (.gauge("node_timex_pps_jitter_seconds", "Pulse per second jitter."), .fine, { $0.jitter }),
    (.gauge("node_timex_pps_shift_seconds", "Pulse per second interval duration."), .plain, { Int($0.shift) }),
    (
      .gauge(
        "node_timex_pps_stability_hertz", "Pulse per second stability, average of recent frequency changes."),
      .scaledRatio, { $0.stabil }
    ),
    (
      .counter("node_timex_pps_jitter_total", "Pulse per second count of jitter limit exceeded events."), .plain,
      { $0.jitcnt }
    ),
    (
      .counter("node_timex_pps_calibration_total", "Pulse per second count of calibration intervals."), .plain,
      { $0.calcnt }
    ),
    (.counter("node_timex_pps_error_total", "Pulse per second count of calibration errors."), .plain, { $0.errcnt }),
    (
      .counter(
        "node_timex_pps_stability_exceeded_total", "Pulse per second count of stability limit exceeded events."),
      .plain, { $0.stbcnt }
    ),
    (.gauge("node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset."), .plain, { Int($0.tai) }),
  ]
  private static let frequency = MetricFamily.gauge(
    "node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.")
  private static let isSynchronized = MetricFamily.gauge(
    "node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).")

  private static let scale = 1_000_000.0 * 65_536

  init(_ host: Host) {}

  func collect(into writer: MetricWriter) throws {
    // No modes: nothing is set.
    var clock = timex()
    let state = adjtimex(&clock)
    guard state >= 0 else {
      let error = KernelError("adjtimex", "the clock")
      if error.code == EPERM || error.code == EACCES { throw NoData("\(error)") }
      throw error
    }
    writer.sample(Self.isSynchronized, state == TIME_ERROR ? 0.0 : 1)
    writer.sample(Self.frequency, 1 + Double(clock.freq) / Self.scale)
    let fine = clock.status & STA_NANO != 0 ? 1e9 : 1e6
    for (family, unit, value) in Self.fields {
      let divisor =
        switch unit {
        case .plain: 1.0
        case .microseconds: 1e6
        case .fine: fine
        case .scaledRatio: Self.scale
        }
      writer.sample(family, Double(value(clock)) / divisor)
    }
  }
}
