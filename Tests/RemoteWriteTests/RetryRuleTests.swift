import HTTPClient
import NIOCore
import Testing

@testable import RemoteWrite

@Suite struct RetryRuleTests {
  @Test(
    arguments: [
      (200, .sent), (202, .standby), (204, .sent), (301, .hold), (307, .hold), (400, .isolate), (401, .hold),
      (403, .hold), (404, .drop),
      (408, .retry), (409, .drop), (413, .split), (415, .otherVersion), (422, .isolate), (429, .retry), (500, .retry),
      (501, .retry), (503, .retry), (599, .retry), (100, .drop), (600, .drop), (-1, .drop),
    ] as [(Int, Verdict)])
  func whatAStatusMeans(status: Int, verdict: Verdict) {
    let meaning = RetryRule.meaning(HTTPResponse(status: status, headers: [], body: ByteBuffer(string: "why")))
    #expect(meaning.verdict == verdict)
    #expect(meaning.reason.isEmpty == [.sent, .standby].contains(verdict))
  }

  @Test func delaysDoubleUpToTheMost() {
    var backoff = Backoff(least: .milliseconds(30), most: .seconds(1))
    let delays = (0..<8).map { _ in backoff.delay(retryAfter: nil, jitter: 0) }
    #expect(delays == [30, 60, 120, 240, 480, 960, 1000, 1000].map { .milliseconds($0) })
    let jittered = backoff.delay(retryAfter: nil)
    #expect(jittered > .milliseconds(899) && jittered <= .seconds(1))
  }

  @Test func theReceiversWishGoesFirstWithinReason() {
    var backoff = Backoff(least: .milliseconds(30), most: .seconds(1))
    let wishes: [Duration] = [.seconds(7), .seconds(1_000_000), .zero]
    let delays = wishes.map { backoff.delay(retryAfter: $0, jitter: 0) }
    #expect(delays == [.seconds(7), .seconds(600), .milliseconds(120)])
    var none = Backoff(least: .zero, most: .zero)
    let shortest = none.delay(retryAfter: nil, jitter: 0)
    #expect(shortest == .milliseconds(1))
  }

  @Test(
    arguments: [
      ("4", 4), (" 120 ", 120), ("0", 0), ("99999999999999999999", 1_000_000_000),
      ("Sun, 06 Nov 1994 08:49:37 GMT", 37), ("Sun, 06 Nov 1994 08:48:00 GMT", 0),
      ("Tue, 29 Feb 2000 00:00:00 GMT", 167_670_660), ("", nil), ("-1", nil), ("soon", nil), ("1.5", nil),
      ("Sun, 06 Foo 1994 08:49:37 GMT", nil), ("Sun, 06 Nov 1994 25:49:37 GMT", nil),
      ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", nil), ("Sun, 06 Nov 1994 08:49 GMT", nil),
    ] as [(String, Int?)])
  func retryAfterIsSecondsOrADate(text: String, seconds: Int?) {
    // 784111777 is RFC 9110's example date; this is 37 seconds before it.
    #expect(RetryAfter.delay(text, now: 784_111_740) == seconds.map { .seconds($0) })
  }
}
