// sd_notify(3) and sd_watchdog_enabled(3) of libsystemd.

import CSystemd

/// systemd, when it started this process as a service of Type=notify; otherwise every call does nothing.
public enum ServiceManager {
  /// The service answers requests.
  public static func ready() { notify("READY=1") }

  /// The service is on its way out.
  public static func stopping() { notify("STOPPING=1") }

  /// The service is alive.
  public static func keepAlive() { notify("WATCHDOG=1") }

  /// How often systemd wants `keepAlive` at the latest: nil when the unit has no WatchdogSec.
  public static var watchdogInterval: Duration? {
    var microseconds: UInt64 = 0
    guard sd_watchdog_enabled(0, &microseconds) > 0 else { return nil }
    return .microseconds(Int64(clamping: microseconds))
  }

  private static func notify(_ state: String) { _ = sd_notify(0, state) }
}
