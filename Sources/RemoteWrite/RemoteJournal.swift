import Bytes
import Logging
import NIOCore
import Synchronization

/// Logs what a person acts on, once: that a receiver fails and that it is well again, not each attempt.
final class RemoteJournal: Sendable {
  private struct State {
    /// Requests that are being tried again, and since when there is one.
    var retrying = 0
    var since: ContinuousClock.Instant = .now
    var lastRefusal: (status: Int, time: ContinuousClock.Instant)?
  }

  /// The same refusal is logged once in this time.
  private static let quiet = Duration.seconds(60)

  private let log: Logger
  private let state = Mutex(State())

  init(name: String, url: String, log: Logger) {
    var log = log
    log[metadataKey: "remote_name"] = "\(name)"
    log[metadataKey: "url"] = "\(url)"
    self.log = log
  }

  /// A request was not taken and is tried again.
  func failed(_ reason: String, isFirst: Bool) {
    guard isFirst else { return }
    let begins = state.withLock { state in
      state.retrying += 1
      if state.retrying == 1 { state.since = .now }
      return state.retrying == 1
    }
    if begins {
      log.warning("Remote write fails; samples are kept and sent again", metadata: ["err": "\(reason)"])
    }
  }

  /// A request that was tried again needs no more attempts.
  func recovered() {
    let lasted: Duration? = state.withLock { state in
      state.retrying -= 1
      return state.retrying == 0 ? .now - state.since : nil
    }
    if let lasted { log.info("Remote write goes on", metadata: ["after": "\(lasted)"]) }
  }

  /// The receiver refused samples for good.
  func refused(_ samples: Int, status: Int, _ reason: String) {
    let isNews = state.withLock { state in
      if let last = state.lastRefusal, last.status == status, .now - last.time < Self.quiet { return false }
      state.lastRefusal = (status, .now)
      return true
    }
    if isNews {
      log.error("Receiver refused samples; they are dropped", metadata: ["samples": "\(samples)", "err": "\(reason)"])
    }
  }

  /// The status and the first words of the answer, in printable characters.
  static func reason(_ status: Int, body: ByteBuffer) -> String {
    let words = String(decoding: body.readableBytesView.prefix(256), as: UTF8.self).unicodeScalars
      .map { $0.value < 0x20 || (0x7f...0x9f).contains($0.value) ? " " : $0 }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: words)
    return text.isEmpty ? "status \(status)" : "status \(status): \(String(text))"
  }
}
