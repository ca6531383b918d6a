import Discovery

/// How a target fares: what `/api/v1/targets` shows.
public struct TargetStatus: Sendable {
  public enum Health: String, Sendable {
    case up, down, unknown
  }

  public var target: Target
  /// Unknown until the first scrape has ended.
  public var health = Health.unknown
  /// Why the last scrape failed; empty when it did not.
  public var lastError = ""
  /// When the last scrape began, nanoseconds since the epoch; nil before the first.
  public var lastScrape: Int64?
  public var lastScrapeDuration = Duration.zero
  /// What the target says of its families.
  public var metadata: [FamilyMetadata] = []
  /// Bytes of what it says.
  var metadataBytes = 0

  init(target: Target) { self.target = target }

  /// The target's URL as others can reach it: a loopback host is replaced by this machine's name.
  public func globalURL(hostname: String) -> String {
    let url = target.scrapeURL
    guard let scheme = url.utf8.firstRange(of: "://") else { return url }
    let authority = url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" }
    for loopback in ["localhost", "127.0.0.1", "[::1]"] {
      guard authority == loopback || authority.hasPrefix(loopback + ":") else { continue }
      return url[..<scheme.upperBound] + hostname + url[scheme.upperBound...].dropFirst(loopback.count)
    }
    return url
  }
}

extension String.UTF8View {
  fileprivate func firstRange(of text: String) -> Range<Index>? {
    var start = startIndex
    while start != endIndex {
      if self[start...].starts(with: text.utf8) { return start..<index(start, offsetBy: text.utf8.count) }
      start = index(after: start)
    }
    return nil
  }
}
