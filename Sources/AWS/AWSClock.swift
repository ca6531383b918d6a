import Logging
import Synchronization

/// The time as AWS has it: the machine's, corrected when answers show that it is wrong. A signature is good for five
/// minutes before and after the time that it names.
public final class AWSClock: Sendable {
  /// A difference that signatures bear, in seconds: so much is not corrected.
  private static let tolerance: Int64 = 240

  private let log: Logger
  /// Seconds that AWS is ahead of the machine.
  private let offset = Mutex<Int64>(0)

  init(log: Logger) { self.log = log }

  /// Seconds that AWS' clock is ahead of the machine's, 0 when they differ by less than four minutes.
  public var skew: Int64 { offset.withLock { $0 } }

  var now: Timestamp { Timestamp(seconds: Timestamp.now.seconds + skew) }

  /// Takes the header `Date` of an answer that has just come.
  func observe(_ date: String?) {
    guard let date, let time = Timestamp(httpDate: date) else { return }
    let difference = time.seconds - Timestamp.now.seconds
    let wanted = abs(difference) < Self.tolerance ? 0 : difference
    let isNews = offset.withLock { offset in
      let isNews = abs(offset - wanted) >= Self.tolerance
      if isNews || wanted == 0 { offset = wanted }
      return isNews
    }
    guard isNews else { return }
    if wanted == 0 {
      log.info("The clock agrees with AWS' again")
    } else {
      log.warning(
        "The clock is wrong; requests are signed with AWS' time, but samples bear the machine's: set it right",
        metadata: ["seconds_behind_aws": "\(wanted)"])
    }
  }
}
