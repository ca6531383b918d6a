// What a workspace of Amazon Managed Service for Prometheus answers to a remote write
// (https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-troubleshooting.html). Behind AWS' front door, which
// checks size, signature and workspace, stands Cortex: the texts of 400, 415 and 429 are its.

import Bytes
import HTTPClient

/// An answer of a workspace, understood: what caused it, what to do, and what a person can do.
public struct WorkspaceAnswer: Sendable, Equatable {
  /// What a sender does about it.
  public enum Action: Sendable {
    /// Nothing is stored: the same again, with backoff.
    case retry
    /// What belongs to known series is stored: the same again now and then, beside the others.
    case retrySlowly
    /// Keep the samples until a person has set it right.
    case hold
    /// The same, but fresh credentials set it right.
    case refresh
    /// The same, but the time of the header `Date` sets it right.
    case resync
    /// In two halves.
    case split
    /// By remote write 1.0.
    case otherVersion
    /// The good samples are stored; nothing is sent again.
    case giveUpPart
    /// Nothing is stored, and never will be.
    case giveUp
  }

  public let action: Action
  /// AMP's own word where it has one, as in the metric `DiscardedSamples` of CloudWatch.
  public let reason: String
  /// What was answered, in one line, without what may be secret.
  public let text: String
  /// What a person can do about it; may be empty.
  public let remedy: String

  /// Nil when it is not one that workspaces are known to give.
  public init?(_ response: HTTPResponse) {
    guard response.status >= 400 else { return nil }
    let text = Self.text(response)
    guard let row = Self.table.first(where: { $0.status == response.status && text.holds($0.pattern) }) else {
      return nil
    }
    action = row.action
    reason = row.reason
    remedy = row.remedy
    self.text = "status \(response.status)" + (text.isEmpty ? "" : ": \(text.prefix(Self.longestText))")
  }

  // MARK: The table

  private static let clock = "set the machine's clock right (NTP); requests bear AWS' time until then"
  private static let quota = "raise the workspace's quota or drop series by write_relabel_configs"
  private static let twoWriters =
    "two writers send the same series: give them different labels, or cluster and __replica__ if they are an HA pair"
  private static let labels = "shorten or drop labels by metric_relabel_configs or write_relabel_configs"
  private static let names = "the target's names are not valid: correct them by metric_relabel_configs"
  private static let old = "the agent was cut off for longer than AMP takes old samples, or a clock is wrong"

  /// The first row that has the status, and a pattern that the text holds, counts.
  private static let table: [(status: Int, pattern: String, reason: String, action: Action, remedy: String)] = [
    (
      400, "per-user series limit", "per_user_series_limit", .giveUpPart,
      "too many active series: AMP doubles what it takes within 30 minutes of use; if it stays, \(quota)"
    ),
    (
      400, "per-metric series limit", "per_metric_series_limit", .giveUpPart,
      "one metric has too many series: drop or aggregate its labels"
    ),
    (
      400, "per-labelset series limit", "per_labelset_series_limit", .giveUpPart,
      "the workspace's owner limits this label set: raise that limit or drop series"
    ),
    (400, "out of order sample", "sample-out-of-order", .giveUpPart, twoWriters),
    (
      400, "too old sample", "sample-too-old", .giveUpPart,
      "the series has newer samples than the workspace's out-of-order window bears: \(twoWriters)"
    ),
    (
      400, "out of bounds", "sample-out-of-bounds", .giveUpPart,
      "the workspace has samples that are an hour newer: \(old)"
    ),
    (400, "duplicate sample for timestamp", "new-value-for-timestamp", .giveUpPart, twoWriters),
    (400, "timestamp too old", "greater_than_max_sample_age", .giveUpPart, old),
    (
      400, "timestamp too new", "too_far_in_future", .giveUpPart,
      "set the clock of this machine, or of the target that gives timestamps, right"
    ),
    (400, "series has too many labels", "max_label_names_per_series", .giveUpPart, labels),
    (400, "label name too long", "label_name_too_long", .giveUpPart, labels),
    (400, "label value too long", "label_value_too_long", .giveUpPart, labels),
    (400, "labels size bytes exceeded", "labels_size_bytes_exceeded", .giveUpPart, labels),
    (400, "sample invalid label", "label_invalid", .giveUpPart, names),
    (400, "sample invalid metric name", "metric_name_invalid", .giveUpPart, names),
    (400, "sample missing metric name", "missing_metric_name", .giveUpPart, names),
    (400, "duplicate label name", "duplicate_label_names", .giveUpPart, names),
    (
      400, "too many HA clusters", "too_many_ha_clusters", .giveUp,
      "too many values of the label cluster beside __replica__: raise the quota of HA clusters, or drop __replica__"
    ),
    (
      400, "snappy: corrupt input", "malformed", .giveUp,
      "something on the way changes requests; if nothing does, report this"
    ),
    (400, "", "bad_request", .giveUpPart, ""),

    (401, "", "unauthorized", .hold, "look at what stands between agent and AMP: AMP itself answers 403"),

    (
      403, "Missing Authentication Token", "not_signed_or_bad_path", .hold,
      "the request was not signed or the path is wrong: add sigv4 to this remote_write; url is a workspace id or ends in "
        + "/workspaces/ws-.../api/v1/remote_write"
    ),
    (
      403, "The request signature we calculated does not match", "signature", .hold,
      "the secret key is wrong, or a proxy on the way changes headers"
    ),
    (
      403, "Credential should be scoped to a valid region", "region", .hold,
      "sign for the region of the workspace: set sigv4.region to it"
    ),
    (
      403, "security token included in the request is expired", "expired_token", .refresh,
      "new credentials are asked for; if this stays, look at their source"
    ),
    (
      403, "security token included in the request is invalid", "invalid_token", .refresh,
      "AWS does not know the access key: new credentials are asked for; if they are static, correct them"
    ),
    (403, "Signature expired", "clock_skew", .resync, clock),
    (403, "Signature not yet current", "clock_skew", .resync, clock),
    (
      403, "not authorized to perform", "access_denied", .hold,
      "allow the action that it names, aps:RemoteWrite: the managed policy is AmazonPrometheusRemoteWriteAccess"
    ),
    (403, "", "forbidden", .hold, "look at the IAM policies of the role, of the VPC endpoint and of the organisation"),

    (
      404, "", "workspace_not_found", .hold,
      "the workspace's id or region is wrong, or it is another account's: set sigv4.role_arn to a role of that account"
    ),

    (413, "", "request_size", .split, "lower queue_config.max_samples_per_send"),
    (415, "", "remote_write_2", .otherVersion, "set protobuf_message: prometheus.WriteRequest"),

    (429, "per-user series limit", "per_user_series_limit", .retrySlowly, quota),
    (
      429, "ingestion rate limit", "rate_limited", .retry,
      "raise the workspace's quota of ingestion, lengthen scrape_interval, or drop series"
    ),
    (
      429, "Rate exceeded", "requests_per_second", .retry,
      "raise queue_config.max_samples_per_send and batch_send_deadline: fewer, larger requests"
    ),
    (429, "", "rate_limited", .retry, quota),
  ]

  // MARK: The text

  /// More than a quorum's introduction to what one of its members says.
  private static let longestBody = 8192
  private static let longestText = 400

  /// What the body says: the message of a JSON object or all of it, without line breaks, and only its part that says
  /// something.
  private static func text(_ response: HTTPResponse) -> String {
    let bytes = Array(response.body.readableBytesView.prefix(longestBody))
    var text = String(decoding: bytes, as: UTF8.self)
    if let json = try? JSONValue(parsing: bytes.span.bytes) {
      text = (json["message"] ?? json["Message"])?.text ?? text
    }
    // Ingesters speak through a quorum, which says who said it.
    if let quorum = text.ranges(of: " desc = ").last { text = String(text[quorum.upperBound...]) }
    // AWS repeats the request as it should have been signed, with the token.
    if let canonical = text.firstRange(of: "The Canonical String") { text = String(text[..<canonical.lowerBound]) }
    var line = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      line.append(scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) ? " " : scalar)
    }
    var words = Substring(String(line))
    while words.last == " " { words.removeLast() }
    return String(words)
  }
}

extension String {
  fileprivate func holds(_ pattern: String) -> Bool { pattern.isEmpty || firstRange(of: pattern) != nil }
}
