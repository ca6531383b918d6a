import Bytes
import Logging
import NIOCore
import Synchronization

/// Logs what a person acts on: that a receiver fails, why, what to do about it, and that it is well again; not each
/// attempt, but each cause.
final class RemoteJournal: Sendable {
  private struct State {
    /// Since when the receiver takes nothing, and the cause that was logged last; nil while it takes samples.
    var failure: (since: ContinuousClock.Instant, toldReason: String?)?
    /// When each message was logged last, by its text and the cause.
    var told: [String: ContinuousClock.Instant] = [:]
  }

  /// The same message with the same cause is logged once in this time.
  private static let quiet = Duration.seconds(60)

  private let log: Logger
  private let state = Mutex(State())

  init(name: String, url: String, log: Logger) {
    var log = log
    log[metadataKey: "remote_name"] = "\(name)"
    log[metadataKey: "url"] = "\(url)"
    self.log = log
  }

  /// The receiver takes no samples, for this cause.
  func failed(_ meaning: AnswerMeaning) {
    let isNews = state.withLock { state in
      let failure = state.failure ?? (.now, nil)
      let isNews = failure.toldReason != meaning.reason && Self.isNews("", meaning, &state)
      state.failure = (failure.since, isNews ? meaning.reason : failure.toldReason)
      return isNews
    }
    if isNews {
      log.warning("Remote write fails; samples are kept and sent again", metadata: Self.metadata(meaning))
    }
  }

  /// The receiver takes samples again.
  func recovered() {
    let since = state.withLock { state in
      defer { state.failure = nil }
      return state.failure?.toldReason == nil ? nil : state.failure?.since
    }
    if let since { log.info("Remote write goes on", metadata: ["after": "\(.now - since)"]) }
  }

  /// The receiver has the known series of a request, and takes no new ones for now.
  func slowed(_ meaning: AnswerMeaning) {
    tell(.warning, "Receiver takes no new series; they are sent again beside the others", meaning)
  }

  /// A request was too large.
  func split(_ meaning: AnswerMeaning) {
    tell(.warning, "Receiver refused a request for its size; it is sent in halves", meaning)
  }

  /// The receiver refused samples for good.
  func refused(_ samples: Int, _ meaning: AnswerMeaning) {
    tell(.error, "Receiver refused samples; they are dropped", meaning, ["samples": "\(samples)"])
  }

  /// The receiver has stored a request but for some of its samples, which it refused for good.
  func refusedInPart(_ samples: Int, _ meaning: AnswerMeaning) {
    tell(
      .error, "Receiver refused a part of a request; it has stored the rest", meaning, ["of_samples": "\(samples)"])
  }

  private func tell(
    _ level: Logger.Level, _ message: Logger.Message, _ meaning: AnswerMeaning, _ more: Logger.Metadata = [:]
  ) {
    guard state.withLock({ Self.isNews("\(message)", meaning, &$0) }) else { return }
    log.log(level: level, message, metadata: more.merging(Self.metadata(meaning)) { $1 })
  }

  private static func isNews(_ message: String, _ meaning: AnswerMeaning, _ state: inout State) -> Bool {
    let key = "\(message) \(meaning.reason)"
    if let last = state.told[key], .now - last < quiet { return false }
    state.told[key] = .now
    return true
  }

  private static func metadata(_ meaning: AnswerMeaning) -> Logger.Metadata {
    var metadata: Logger.Metadata = ["err": "\(meaning.text)", "reason": "\(meaning.reason)"]
    if !meaning.remedy.isEmpty { metadata["remedy"] = "\(meaning.remedy)" }
    return metadata
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
  func fellBack(_ meaning: AnswerMeaning) {
    log.warning(
      "The receiver does not know remote write 2.0; it gets 1.0 from now on", metadata: Self.metadata(meaning))
  }

  /// The status and the first words of the answer, in printable characters.
  static func text(_ status: Int, body: ByteBuffer) -> String {
    let words = String(decoding: body.readableBytesView.prefix(256), as: UTF8.self).unicodeScalars
      .map { $0.value < 0x20 || (0x7f...0x9f).contains($0.value) ? " " : $0 }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: words)
    return text.isEmpty ? "status \(status)" : "status \(status): \(String(text))"
  }
}
