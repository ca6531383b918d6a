/// A bucket of requests that may be answered (Go's golang.org/x/time/rate, one event at a time).
struct RateLimiter {
  let limit: WebConfiguration.RateLimit
  private var tokens: Double
  private var last: ContinuousClock.Instant

  init(_ limit: WebConfiguration.RateLimit, now: ContinuousClock.Instant = .now) {
    self.limit = limit
    tokens = Double(limit.burst)
    last = now
  }

  /// Whether a request may be answered now; takes one from the bucket if so.
  mutating func allows(now: ContinuousClock.Instant = .now) -> Bool {
    tokens = min(Double(limit.burst), tokens + (now - last) / limit.interval)
    last = now
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }
}
