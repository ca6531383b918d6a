import Glibc
import Kernel
import Logging

/// SIGTERM and SIGINT, which end the process in good order, and SIGHUP, which has nothing to reload yet.
enum TerminationSignals {
  private static let numbers: [Int32] = [SIGTERM, SIGINT, SIGHUP]

  private static var set: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    return set
  }

  /// Keeps the signals from their default effect, in this thread and those that it starts. To be called first.
  static func block() {
    var set = set
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Returns when the process is told to end.
  ///
  /// - Throws: when no thread can be had to wait on.
  static func wait(logger: Logger) async throws(KernelError) {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    try KernelThread.start("signals") {
      var set = Self.set
      var number: Int32 = 0
      while true {
        guard sigwait(&set, &number) == 0 else { continue }
        if number == SIGHUP {
          logger.warning("SIGHUP ignored: this version reads its configuration at start only")
        } else {
          continuation.yield()
        }
      }
    }
    for await _ in stream { return }
  }
}
