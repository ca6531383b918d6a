import Bytes
import Logging
import NIOCore
import Synchronization

/// Logs what a person acts on, once: that a receiver fails and that it is well again, not each attempt.
final class RemoteJournal: Sendable {
  private struct State {
    /// Since when the receiver takes nothing.
    var since: ContinuousClock.Instant = .now
    var lastRefusal: (reason: String, time: ContinuousClock.Instant)?
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

  /// The receiver takes no samples any more.
  func failed(_ reason: String) {
    state.withLock { $0.since = .now }
    log.warning("Remote write fails; samples are kept and sent again", metadata: ["err": "\(reason)"])
  }

  /// The receiver takes samples again.
  func recovered() {
    let lasted = state.withLock { .now - $0.since }
    log.info("Remote write goes on", metadata: ["after": "\(lasted)"])
  }

  /// The receiver takes the samples of another replica of the cluster.
  func standsBy(_ cluster: String, _ reason: String) {
    log.info(
      "Standing by: the receiver has elected another replica",
      metadata: ["cluster": "\(cluster)", "answer": "\(reason)"])
  }

  /// The receiver takes the samples of this replica again.
  func elected(_ cluster: String, after duration: Duration) {
    log.info(
      "Elected: the receiver takes the samples of this replica",
      metadata: ["cluster": "\(cluster)", "after": "\(duration)"])
  }

  /// Samples were not there any more when they could be sent.
  func lost(_ samples: UInt64, _ reason: String) {
    log.error("Samples are lost", metadata: ["samples": "\(samples)", "reason": "\(reason)"])
  }

  /// A segment of the log is damaged.
  func damaged(_ reason: String) { log.error("The log is damaged", metadata: ["err": "\(reason)"]) }

  /// The receiver answers 2.0 as if it understood it, but does not say what it has written.
  func misunderstood(_ content: RequestContent) {
    log.error(
      """
      Sent v2 request, got 2xx, but PRW 2.0 response header statistics indicate that nothing was accepted; the \
      receiver probably knows only 1.0
      """,
      metadata: [
        "samples": "\(content.samples)", "histograms": "\(content.histograms)", "exemplars": "\(content.exemplars)",
      ])
  }

  /// Remote write 1.0 is spoken from now on.
  func fellBack(_ reason: String) {
    log.warning("The receiver does not know remote write 2.0; it gets 1.0 from now on", metadata: ["err": "\(reason)"])
  }

  /// The receiver refused samples for good.
  func refused(_ samples: Int, _ reason: String) {
    let isNews = state.withLock { state in
      if let last = state.lastRefusal, last.reason == reason, .now - last.time < Self.quiet { return false }
      state.lastRefusal = (reason, .now)
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
