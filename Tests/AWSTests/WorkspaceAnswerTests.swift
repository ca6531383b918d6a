import HTTPClient
import NIOCore
import TestSupport
import Testing

@testable import AWS

@Suite struct WorkspaceAnswerTests {
  private static func answer(_ status: Int, _ body: String) -> WorkspaceAnswer? {
    WorkspaceAnswer(HTTPResponse(status: status, headers: [], body: ByteBuffer(string: body)))
  }

  private static let user = "user=210987654321_ws-0f0e0d0c-1111-2222-3333-444455556666: "
  private static let series = #"series={__name__="node_load1", instance="h:9100", job="hosts"}"#
  private static func quorum(_ text: String) -> String {
    "maxFailure (quorum) on a given error family, rpc error: code = Code(400) desc = addr=10.0.0.7:9095 state=ACTIVE "
      + "zone=eu-west-1b, rpc error: code = Code(400) desc = \(user)\(text)"
  }

  @Test(
    arguments: [
      (
        429, "ingestion rate limit (1000) exceeded while adding 2000 samples and 0 metadata", .retry, "rate_limited"
      ),
      (429, #"{"message":"Rate exceeded"}"#, .retry, "requests_per_second"),
      (429, "anything", .retry, "rate_limited"),
      (
        429, user + "per-user series limit (local limit: 0 global limit: 9 actual local limit: 3) exceeded",
        .retrySlowly, "per_user_series_limit"
      ),
      (400, quorum("per-user series limit of 900 exceeded, Capacity ..."), .giveUpPart, "per_user_series_limit"),
      (
        400, user + "per-metric series limit of 9 exceeded for metric node_load1", .giveUpPart,
        "per_metric_series_limit"
      ),
      (400, user + "per-labelset series limit of 9 exceeded", .giveUpPart, "per_labelset_series_limit"),
      (
        400, user + "err: out of order sample. timestamp=2026-02-03T04:05:06Z, " + series, .giveUpPart,
        "sample-out-of-order"
      ),
      (400, user + "err: too old sample. timestamp=2026-02-03T04:05:06Z", .giveUpPart, "sample-too-old"),
      (
        400, quorum("err: too old sample. timestamp=2026-02-03T04:05:06Z, tsdbHeadMaxTimestamp=2026-02-03T05:05:06Z"),
        .giveUpPart, "sample-too-old"
      ),
      (400, user + "err: out of bounds. timestamp=2026-02-03T04:05:06Z", .giveUpPart, "sample-out-of-bounds"),
      (400, user + "err: duplicate sample for timestamp. " + series, .giveUpPart, "new-value-for-timestamp"),
      (
        400, user + series + ", timestamp=2026-02-03T04:05:06Z: duplicate sample for timestamp ", .giveUpPart,
        "new-value-for-timestamp"
      ),
      (400, #"timestamp too old: 1800000000000 metric: "node_load1""#, .giveUpPart, "greater_than_max_sample_age"),
      (400, #"timestamp too new: 1800000000000 metric: "node_load1""#, .giveUpPart, "too_far_in_future"),
      (400, "series has too many labels (actual: 9, limit: 8) series: 'x'", .giveUpPart, "max_label_names_per_series"),
      (400, "label name too long for metric (actual: 9, limit: 8)", .giveUpPart, "label_name_too_long"),
      (400, "label value too long for metric (actual: 9, limit: 8)", .giveUpPart, "label_value_too_long"),
      (400, "labels size bytes exceeded for metric (actual: 9, limit: 8)", .giveUpPart, "labels_size_bytes_exceeded"),
      (400, #"sample invalid label: "a-b" metric "x""#, .giveUpPart, "label_invalid"),
      (400, #"sample invalid metric name: "a b""#, .giveUpPart, "metric_name_invalid"),
      (400, "sample missing metric name", .giveUpPart, "missing_metric_name"),
      (400, #"duplicate label name: "a" metric "x""#, .giveUpPart, "duplicate_label_names"),
      (400, "too many HA clusters (limit: 9)\n", .giveUp, "too_many_ha_clusters"),
      (400, "snappy: corrupt input\n", .giveUp, "malformed"),
      (400, "", .giveUpPart, "bad_request"),
      (401, "", .hold, "unauthorized"),
      (413, #"{"message":"Request Too Long"}"#, .split, "request_size"),
      (413, "<html>", .split, "request_size"),
      (415, "proto is not accepted by this server", .otherVersion, "remote_write_2"),
      (403, #"{"message":"Missing Authentication Token"}"#, .hold, "not_signed_or_bad_path"),
      (
        403, #"{"message":"The request signature we calculated does not match the signature you provided."}"#, .hold,
        "signature"
      ),
      (403, #"{"message":"Credential should be scoped to a valid region. "}"#, .hold, "region"),
      (403, #"{"message":"The security token included in the request is expired"}"#, .refresh, "expired_token"),
      (403, #"{"message":"The security token included in the request is invalid."}"#, .refresh, "invalid_token"),
      (403, #"{"message":"Signature expired: 20260203T040506Z is now earlier than ..."}"#, .resync, "clock_skew"),
      (403, #"{"message":"Signature not yet current: 20260203T040506Z is still later"}"#, .resync, "clock_skew"),
      (
        403,
        #"{"Message":"User: arn:aws:iam::210987654321:user/u is not authorized to perform: aps:RemoteWrite on x"}"#,
        .hold, "access_denied"
      ),
      (403, "", .hold, "forbidden"),
      (404, #"{"Message":"Workspace not found"}"#, .hold, "workspace_not_found"),
      (404, "", .hold, "workspace_not_found"),
    ] as [(Int, String, WorkspaceAnswer.Action, String)])
  func whatAnAnswerMeans(status: Int, body: String, action: WorkspaceAnswer.Action, reason: String) throws {
    let answer = try #require(Self.answer(status, body))
    #expect(answer.action == action)
    #expect(answer.reason == reason)
    #expect(answer.text.hasPrefix("status \(status)") && !answer.text.contains("\n"))
    #expect(!answer.remedy.isEmpty || reason == "bad_request")
  }

  /// What the protocol says is enough.
  @Test(arguments: [200, 202, 204, 301, 408, 422, 500, 503, -1]) func others(status: Int) {
    #expect(Self.answer(status, "too many inflight push requests in distributor") == nil)
  }

  @Test func theTextIsWhatPeopleNeed() {
    #expect(
      Self.answer(400, Self.quorum("per-user series limit of 9 exceeded, x"))?.text
        == "status 400: \(Self.user)per-user series limit of 9 exceeded, x")
    #expect(Self.answer(404, #"{"Message":"Workspace not found"}"#)?.text == "status 404: Workspace not found")
    let canonical = """
      {"message":"The request signature we calculated does not match the signature you provided.\\n\\nThe Canonical \
      String for this request should have been\\n'POST\\n/x\\n\\nx-amz-security-token:HIDDEN"}
      """
    #expect(
      Self.answer(403, canonical)?.text
        == "status 403: The request signature we calculated does not match the signature you provided.")
    #expect(Self.answer(400, "a\u{1b}[31m\nb\u{85}")?.text == "status 400: a [31m b")
    #expect(Self.answer(400, String(repeating: "x", count: 100_000))?.text.count == 412)
  }

  @Test func hostileBodies() {
    var random = SeededGenerator(7)
    for length in 0..<400 {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
      let response = HTTPResponse(status: 400, headers: [], body: ByteBuffer(bytes: bytes))
      #expect(WorkspaceAnswer(response)?.reason == "bad_request")
    }
    #expect(Self.answer(403, String(repeating: "[", count: 10_000))?.reason == "forbidden")
  }
}

@Suite struct RefusalPacingTests {
  private let start = ContinuousClock.now

  /// When the source is asked, in seconds, if a request is refused each second.
  private func asked(_ pacing: inout RefusalPacing, _ seconds: Range<Int>) -> [Int] {
    var last = start
    return seconds.filter { second in
      let now = start + .seconds(second)
      guard pacing.mayAsk(at: now, lastRefresh: last) else { return false }
      last = now
      return true
    }
  }

  @Test func lessAndLessOften() {
    var pacing = RefusalPacing()
    let first = asked(&pacing, 0..<260)
    #expect(first == [3, 6, 12, 24, 48, 96, 156, 216])
    let second = asked(&pacing, 400..<410)
    #expect(second == [400, 403, 409], "after a while without refusals it begins anew")
  }

  @Test func notRightAfterARefresh() {
    var pacing = RefusalPacing()
    let isAsked = [11, 14].map { pacing.mayAsk(at: start + .seconds($0), lastRefresh: start + .seconds(10)) }
    #expect(isAsked == [false, true])
  }
}
