// sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3) of libsystemd.

import CSystemd
import Glibc

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

  /// The listening sockets that systemd opened for this process by a socket unit; none without one.
  ///
  /// They are told once: what the environment says of them is removed, so that no other process takes them for its own.
  public static func takeListeningSockets() -> [CInt] {
    let count = max(0, sd_listen_fds(1))
    return (0..<count).map { SD_LISTEN_FDS_START + $0 }.filter { sd_is_socket($0, AF_UNSPEC, streamType, 1) > 0 }
  }

  private static let streamType = CInt(SOCK_STREAM.rawValue)

  private static func notify(_ state: String) { _ = sd_notify(0, state) }
}
