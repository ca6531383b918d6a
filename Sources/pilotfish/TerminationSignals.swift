import Glibc

/// SIGTERM and SIGINT, which end the process in good order, and SIGHUP, which asks for a new configuration.
enum TerminationSignals {
  private static let numbers: [Int32] = [SIGTERM, SIGINT, SIGHUP]
  private static let received = AsyncStream.makeStream(of: Int32.self)

  private static var set: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    return set
  }

  /// Keeps the signals from their default effect in this thread and in those that it starts. To be called first.
  static func block() {
    var set = set
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Takes the signals, on the main thread, until the process ends.
  ///
  /// The main thread must not be left to an asynchronous `main`: libdispatch lets it take every signal with its default
  /// effect.
  static func deliver() -> Never {
    var set = set
    var number: Int32 = 0
    while true {
      if sigwait(&set, &number) == 0 { received.continuation.yield(number) }
    }
  }

  /// Returns when the process is told to end; calls `reload` for each SIGHUP until then.
  static func wait(reload: () async -> Void) async {
    for await number in received.stream {
      guard number == SIGHUP else { return }
      await reload()
    }
  }
}
