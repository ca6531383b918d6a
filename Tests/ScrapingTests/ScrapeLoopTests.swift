import Bytes
import Discovery
import Exposition
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Scraping

private func target(
  _ job: String = "j", url: String = "http://a/metrics", instance: String = "a", interval: Duration = .milliseconds(20)
) -> Target {
  Target(
    jobName: job, discoveredLabels: LabelSet(),
    labels: LabelSet([(name: "instance", value: instance), (name: "job", value: job)]), scrapeURL: url,
    interval: interval, timeout: interval, honorLabels: false, honorTimestamps: true)
}

private func text(_ body: String, type: String? = "text/plain; version=0.0.4", status: Int = 200) -> ScrapeResponse {
  ScrapeResponse(status: status, contentType: type, body: ByteBuffer(string: body))
}

/// Tells of each request, and answers all alike; without an answer it hangs until it is broken off.
private struct FakeFetcher: ScrapeFetcher {
  let requests: AsyncStream<ScrapeRequest>.Continuation
  let answer: ScrapeResponse?

  func prepare(_ request: ScrapeRequest) throws(ScrapeError) -> ScrapeFetch {
    { eventLoop, _, completion in
      requests.yield(request)
      if let answer {
        eventLoop.assumeIsolated().execute { completion(.success(.response(answer))) }
        return {}
      }
      return { completion(.failure(ScrapeError("broken off"))) }
    }
  }
}

@Test func theSeriesAboutAScrape() {
  let sink = RecordingSink()
  let target = target()
  var scraper = TargetScraper(labels: target.labels, sink: sink, metrics: ScrapeMetrics())
  func value(_ name: String, _ stored: [String: [Stored]]) -> [Stored]? {
    stored["{__name__=\"\(name)\", instance=\"a\", job=\"j\"}"]
  }
  #expect(scraper.store(.success(text("m 1\nn 2\n")), of: target, at: 1000) { .milliseconds(250) } == nil)
  var stored = sink.take()
  #expect(sink.state.withLock { $0.appends } == 1)
  #expect(value("up", stored) == [Stored(1, at: 1000)])
  #expect(value("scrape_duration_seconds", stored) == [Stored(0.25, at: 1000)])
  #expect(value("scrape_samples_scraped", stored) == [Stored(2, at: 1000)])
  #expect(value("scrape_samples_post_metric_relabeling", stored) == [Stored(2, at: 1000)])
  #expect(value("scrape_series_added", stored) == [Stored(2, at: 1000)])

  let fault = scraper.store(.success(text("m 1\nbad line\n")), of: target, at: 2000) { .zero }
  #expect(fault?.description.contains("invalid syntax") == true)
  stored = sink.take()
  #expect(value("up", stored) == [Stored(0, at: 2000)])
  #expect(value("scrape_samples_scraped", stored) == [Stored(1, at: 2000)])
  #expect(value("m", stored) == [Stored(.staleMarker, at: 2000)])

  // What the target says of itself comes first.
  #expect(scraper.store(.success(text("up 5\n")), of: target, at: 3000) { .zero } == nil)
  #expect(value("up", sink.take()) == [Stored(5, at: 3000)])
  #expect(scraper.store(.failure(ScrapeError("gone")), of: target, at: 4000) { .zero } == ScrapeError("gone"))
  #expect(value("up", sink.take()) == [Stored(0, at: 4000)])

  scraper.end(interval: .seconds(1))
  stored = sink.take()
  #expect(stored.count == 5 && stored.values.allSatisfy { $0 == [Stored(.staleMarker, at: 5000)] })
  #expect(sink.balance == 0)
}

@Test func theGrid() {
  let labels = LabelSet([(name: "job", value: "j")])
  let grid = ScrapeGrid(interval: .seconds(10), labels: labels, url: "http://a", seed: 1)
  #expect(grid == ScrapeGrid(interval: .seconds(10), labels: labels, url: "http://a", seed: 1))
  #expect(grid.offset != ScrapeGrid(interval: .seconds(10), labels: labels, url: "http://a", seed: 2).offset)
  #expect((0..<10_000_000_000).contains(grid.offset))
  let first = grid.next(after: 1_700_000_000_000_000_000, last: nil)
  #expect((first - grid.offset) % 10_000_000_000 == 0)
  #expect(grid.next(after: first - 1, last: nil) == first)
  #expect(grid.next(after: first - 1, last: first) == first + grid.interval)
  #expect(grid.next(after: first + 25_000_000_000, last: first) == first + 30_000_000_000)
  #expect(grid.next(after: -5, last: nil) - grid.offset <= 0 || grid.offset < 10_000_000_000)
  #expect(grid.timestamp(due: first, now: first + 1_900_000) == first / 1_000_000)
  #expect(grid.timestamp(due: first, now: first + 2_100_000) == (first + 2_100_000) / 1_000_000)
  let longest = ScrapeGrid(interval: .nanoseconds(Int64.max), labels: labels, url: "", seed: .max)
  #expect(longest.next(after: 1_700_000_000_000_000_000, last: nil) > 1_700_000_000_000_000_000)
}

@Test func targetsComeAndGo() async {
  let (requests, continuation) = AsyncStream.makeStream(of: ScrapeRequest.self)
  let sink = RecordingSink()
  let manager = ScrapeManager(
    sink: sink, fetcher: FakeFetcher(requests: continuation, answer: text("m 1\n")),
    group: MultiThreadedEventLoopGroup.singleton, userAgent: "pilotfish/1", hostname: "h")
  var iterator = requests.makeAsyncIterator()
  manager.apply([
    JobTargets(jobName: "j", active: [target(), target()]),
    JobTargets(jobName: "k", active: [target("k", url: "http://b/metrics", instance: "b")]),
  ])
  #expect(manager.snapshot().map(\.target.jobName) == ["j", "k"])
  for _ in 0..<8 { _ = await iterator.next() }

  // Gone, and another URL for the same series.
  manager.apply([JobTargets(jobName: "j", active: [target(url: "http://c/metrics")])])
  while let request = await iterator.next(), request.url != "http://c/metrics" {}
  while let request = await iterator.next(), request.url != "http://c/metrics" {}
  let status = manager.snapshot()
  #expect(status.map(\.health) == [.up] && status[0].lastScrape != nil)
  await manager.stop(within: .seconds(10))

  let stored = sink.take()
  for name in ["up", "m"] {
    #expect(stored["{__name__=\"\(name)\", instance=\"b\", job=\"k\"}"]?.last?.bits == Double.staleMarker.bitPattern)
    let kept = stored["{__name__=\"\(name)\", instance=\"a\", job=\"j\"}"] ?? []
    #expect(kept.count > 1 && kept.allSatisfy { $0.bits == 1.0.bitPattern })
    #expect(zip(kept, kept.dropFirst()).allSatisfy { $0.timestamp < $1.timestamp })
  }
  let writer = MetricWriter()
  manager.write(to: writer)
  #expect(writer.count > 4)
}

@Test func stoppingBreaksOffWhatHangs() async {
  let (requests, continuation) = AsyncStream.makeStream(of: ScrapeRequest.self)
  let sink = RecordingSink()
  let manager = ScrapeManager(
    sink: sink, fetcher: FakeFetcher(requests: continuation, answer: nil),
    group: MultiThreadedEventLoopGroup.singleton, userAgent: "pilotfish/1", hostname: "h")
  manager.apply([JobTargets(jobName: "j", active: [target()])])
  var iterator = requests.makeAsyncIterator()
  _ = await iterator.next()
  await manager.stop(within: .milliseconds(1))
  // Nothing is said of a target that did nothing wrong.
  #expect(sink.take().isEmpty)
}

@Test(arguments: [
  ("http://localhost:9100/m", "http://vm:9100/m"), ("http://127.0.0.1/m", "http://vm/m"),
  ("http://[::1]:1/m", "http://vm:1/m"), ("http://localhost.example/m", "http://localhost.example/m"), ("x", "x"),
])
func globalURLs(url: String, expected: String) {
  #expect(TargetStatus(target: target(url: url)).globalURL(hostname: "vm") == expected)
}
