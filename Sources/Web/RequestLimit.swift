import Synchronization

/// Lets at most so many requests be answered at once.
public final class RequestLimit: Sendable {
  private let limit: Int
  private let running = Atomic<Int>(0)

  /// - Parameter limit: 0 is no limit.
  public init(_ limit: Int) { self.limit = limit }

  /// The handler, which answers 503 while the limit is reached.
  public func limiting(_ handler: @escaping WebHandler) -> WebHandler {
    guard limit > 0 else { return handler }
    return { [self] request, respond in
      guard running.add(1, ordering: .relaxed).newValue <= limit else {
        running.subtract(1, ordering: .relaxed)
        return respond(.text(503, "Limit of concurrent requests reached (\(limit)), try again later."))
      }
      handler(request) { response in
        self.running.subtract(1, ordering: .relaxed)
        respond(response)
      }
    }
  }
}
