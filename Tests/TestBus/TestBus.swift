// A message bus of the tests' own: dbus-daemon(1) with a socket in a temporary folder.

import Glibc
import Kernel
import TestSupport

public struct TestBusError: Error, CustomStringConvertible { public let description: String }

/// A running dbus-daemon, which ends with this object.
public final class TestBus {
  private let folder = TemporaryDirectory()
  private var process: pid_t = 0

  public var address: String { "unix:path=\(folder.path)/bus" }

  public init() throws {
    let configuration = """
      <busconfig>
        <listen>unix:path=\(folder.path)/bus</listen>
        <auth>EXTERNAL</auth>
        <policy context="default">
          <allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
        </policy>
      </busconfig>
      """
    folder.write("bus.conf", configuration)
    try start()
  }

  deinit {
    stop()
  }

  /// Starts the daemon, and returns once it listens.
  public func start() throws {
    var ends: [CInt] = [-1, -1]
    guard pipe(&ends) == 0 else { throw KernelError("pipe", "dbus-daemon") }
    defer { close(ends[0]) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    let line = ["dbus-daemon", "--nofork", "--config-file=\(folder.path)/bus.conf", "--print-address"]
    let words: [UnsafeMutablePointer<CChar>?] = line.map { strdup($0) }
    defer { for word in words { free(word) } }
    let status = posix_spawnp(&process, "dbus-daemon", &actions, nil, words + [nil], environ)
    close(ends[1])
    guard status == 0 else { throw KernelError("start", "dbus-daemon", code: status) }
    // It prints its address when it listens.
    var byte: UInt8 = 0
    guard read(ends[0], &byte, 1) == 1 else { throw TestBusError(description: "dbus-daemon did not start") }
  }

  /// Ends the daemon and so all connections to it.
  public func stop() {
    guard process > 0 else { return }
    kill(process, SIGKILL)
    waitpid(process, nil, 0)
    process = 0
    unlink("\(folder.path)/bus")
  }
}
