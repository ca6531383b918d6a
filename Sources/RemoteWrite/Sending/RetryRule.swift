import HTTPClient

/// What to do about a receiver's answer.
public enum Verdict: Equatable, Sendable {
  /// The receiver has the samples.
  case sent
  /// The receiver takes the samples of another replica (Cortex: "replicas did not match").
  case standby
  /// The receiver cannot take them now: send the same bytes again.
  case retry
  /// The receiver takes no new series for a while, and has stored the rest: send it again now and then, and let others
  /// through meanwhile.
  case slow
  /// Something that a person or fresh credentials must set right, and then the samples will be taken: keep them and
  /// try again.
  case hold
  /// Too much at once: send it in two halves.
  case split
  /// Something in it will never be taken: find out what, and give up only that.
  case isolate
  /// The receiver has stored what is good of it and will never take the rest: nothing is sent again.
  case takenInPart
  /// The receiver does not know the version of the protocol.
  case otherVersion
  /// The receiver will never take them.
  case drop
}

/// What a receiver's answer means.
public struct AnswerMeaning: Equatable, Sendable {
  public var verdict: Verdict
  /// One word for metrics, of a set that is bounded.
  public var reason: String
  /// For people: what was answered, in one line.
  public var text: String
  /// What a person can do about it; empty: nothing, or it is not known.
  public var remedy: String

  public init(_ verdict: Verdict, reason: String = "", text: String = "", remedy: String = "") {
    self.verdict = verdict
    self.reason = reason
    self.text = text
    self.remedy = remedy
  }
}

/// Says what an answer means, for receivers of which more is known than the protocol says; nil: what the protocol says.
public typealias AnswerReader = @Sendable (HTTPResponse) -> AnswerMeaning?

/// What a receiver's answer means
/// (https://prometheus.io/docs/specs/prw/remote_write_spec/#retries-backoff), as a table.
///
/// More is kept than the specification asks for: 401 and 403 are mostly credentials that expired, and a redirect is a
/// URL to be corrected (it is not followed: a signature is good for one URL, and a POST would become a GET). Neither
/// must cost samples. A 400 is never sent again as a whole: receivers store the good part of it.
enum RetryRule {
  private static let credentials = "check the credentials of this remote_write"
  private static let table: [(statuses: ClosedRange<Int>, verdict: Verdict, reason: String, remedy: String)] = [
    (202...202, .standby, "", ""),
    (200...299, .sent, "", ""),
    (300...399, .hold, "redirect", "redirects are not followed: correct url"),
    (400...400, .isolate, "bad_request", ""),
    (401...401, .hold, "unauthorized", credentials),
    (403...403, .hold, "forbidden", credentials),
    (404...404, .drop, "not_found", "check url"),
    (408...408, .retry, "request_timeout", ""),
    (413...413, .split, "request_size", "lower queue_config.max_samples_per_send"),
    (415...415, .otherVersion, "media_type", ""),
    (422...422, .isolate, "unprocessable", ""),
    (429...429, .retry, "too_many_requests", ""),
    (400...499, .drop, "refused", ""),
    (500...599, .retry, "server_error", ""),
  ]

  static func meaning(_ response: HTTPResponse) -> AnswerMeaning {
    guard let row = table.first(where: { $0.statuses.contains(response.status) }) else {
      return AnswerMeaning(.drop, reason: "refused", text: "status \(response.status)")
    }
    guard row.verdict != .sent else { return AnswerMeaning(.sent) }
    let text = RemoteJournal.text(response.status, body: response.body)
    return AnswerMeaning(row.verdict, reason: row.reason, text: text, remedy: row.remedy)
  }
}

/// How long to wait before the next attempt: twice as long each time, from `least` to `most`.
struct Backoff: Sendable {
  /// A receiver may ask for more than `most`, but not for more than this.
  static let longestRetryAfter = Duration.seconds(600)

  private let most: Duration
  private var next: Duration

  init(least: Duration, most: Duration) {
    self.most = max(most, .milliseconds(1))
    next = min(max(least, .milliseconds(1)), self.most)
  }

  init(_ bounds: ClosedRange<Duration>) { self.init(least: bounds.lowerBound, most: bounds.upperBound) }

  /// The next delay: up to a tenth shorter by chance, so that senders that failed together do not come back together.
  /// What the receiver asked for goes first.
  mutating func delay(retryAfter: Duration?, jitter: Double = .random(in: 0..<1)) -> Duration {
    let delay = next
    next = min(next * 2, most)
    if let retryAfter, retryAfter > .zero { return min(retryAfter, Self.longestRetryAfter) }
    return delay * (1 - 0.1 * jitter)
  }
}

/// The header `Retry-After` (RFC 9110, 10.2.3): seconds, or a date of the form "Sun, 06 Nov 1994 08:49:37 GMT".
enum RetryAfter {
  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  /// - Parameter now: seconds since the epoch.
  /// - Returns: how long to wait; nil when the text says neither. A date that has passed is zero.
  static func delay(_ text: String, now: Int64) -> Duration? {
    let text = text.trimmingBlanks
    if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
      return .seconds(min(Int64(text) ?? .max, 1_000_000_000))
    }
    guard let date = date(text) else { return nil }
    return .seconds(max(0, date - now))
  }

  /// Seconds since the epoch.
  private static func date(_ text: Substring) -> Int64? {
    let parts = text.split(separator: " ")
    guard parts.count == 6, parts[0].hasSuffix(","), parts[5] == "GMT",
      let day = Int64(parts[1]), (1...31).contains(day),
      let month = months.firstIndex(of: String(parts[2])).map({ Int64($0 + 1) }),
      let year = Int64(parts[3]), (1970...9999).contains(year)
    else { return nil }
    let clock = parts[4].split(separator: ":", omittingEmptySubsequences: false).map { Int64($0) ?? -1 }
    guard clock.count == 3, (0...23).contains(clock[0]), (0...59).contains(clock[1]), (0...60).contains(clock[2])
    else { return nil }
    return days(year, month, day) * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
  }

  /// Days since 1970-01-01 (http://howardhinnant.github.io/date_algorithms.html#days_from_civil); the year begins
  /// in March.
  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let year = month <= 2 ? year - 1 : year
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return 365 * year + year / 4 - year / 100 + year / 400 + dayOfYear - 719_468
  }
}

extension String {
  fileprivate var trimmingBlanks: Substring {
    var text = self[...]
    while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}

/// What a receiver of 2.0 says that it has stored (headers `X-Prometheus-Remote-Write-…-Written`).
struct WrittenCounts: Equatable {
  var samples = 0
  var histograms = 0
  var exemplars = 0

  init(_ response: HTTPResponse) {
    func count(_ kind: String) -> Int {
      max(0, response.header("X-Prometheus-Remote-Write-\(kind)-Written").flatMap { Int($0) } ?? 0)
    }
    samples = count("Samples")
    histograms = count("Histograms")
    exemplars = count("Exemplars")
  }

  /// A receiver that took a request and says nothing of this has not understood it.
  var isNothing: Bool { samples + histograms + exemplars == 0 }
}
