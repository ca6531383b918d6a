import Exposition
import HTTPClient
import NIOCore

/// What this process shows on pages of its own, for a target that is one of them: it is collected without HTTP and
/// without text.
public protocol OwnMetrics: Sendable {
  /// Whether a scrape of the URL would end at such a page.
  func isShown(at url: HTTPURL) -> Bool

  /// Collects what that page shows, and calls `done` once, on any thread, within about that time.
  func collect(_ url: HTTPURL, within time: Duration, _ done: @escaping @Sendable (CollectedMetrics) -> Void)
}

/// What collectors wrote.
///
/// `@unchecked Sendable`: nobody writes to it any more.
public struct CollectedMetrics: @unchecked Sendable {
  /// In the order of the exposition: of two equal series the earlier stays.
  let writers: [MetricWriter]
  /// What must live as long as the writers are read.
  private let owner: any Sendable

  public init(_ writers: [MetricWriter], of owner: any Sendable) {
    self.writers = writers
    self.owner = owner
  }
}

/// Fetches own pages in process, and all others by another fetcher.
public struct OwnScrapeFetcher: ScrapeFetcher {
  private let own: any OwnMetrics
  private let others: any ScrapeFetcher

  public init(_ own: any OwnMetrics, others: any ScrapeFetcher) {
    self.own = own
    self.others = others
  }

  public func prepare(_ request: ScrapeRequest) throws(ScrapeError) -> ScrapeFetch {
    guard let url = try? HTTPURL(request.url), own.isShown(at: url) else { return try others.prepare(request) }
    // A tenth less, as for a scraper from outside.
    let time = request.timeout * 0.9
    return { [own] eventLoop, _, completion in
      let answer = NIOLoopBound(completion, eventLoop: eventLoop)
      own.collect(url, within: time) { collected in
        eventLoop.execute { answer.value(.success(.collected(collected))) }
      }
      return {}
    }
  }

  public func forget(_ request: ScrapeRequest, on eventLoop: any EventLoop) { others.forget(request, on: eventLoop) }
}
