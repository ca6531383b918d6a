/// Why a scrape failed, in the words of Prometheus: what `/api/v1/targets` shows as the last error.
public struct ScrapeError: Error, Equatable, CustomStringConvertible {
  public let description: String
  /// Whether the body was longer than the limit.
  public let isBodyTooLarge: Bool

  public init(_ description: String, isBodyTooLarge: Bool = false) {
    self.description = description
    self.isBodyTooLarge = isBodyTooLarge
  }
}
