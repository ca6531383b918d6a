// What a sample costs from the text of a scrape to a compressed request and to the log, by the number of series.
//
//     swift run -c release Benchmarks pipeline [SERIES ...]
//
// Each size is scraped at 300,000 samples a second, once to know its series, then for at least four million samples.
// CPU is of all threads, between the first of these samples and the answer to the last request.

import Bytes
import Exposition
import Glibc
import HTTPClient
import Kernel
import Logging
import NIOCore
import NIOPosix
import RemoteWrite
import Scraping

enum PipelineBenchmark {
  private static let sizes = [10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000]
  private static let leastSamples = 4_000_000
  private static let samplesPerSecond = 300_000.0

  static func run(_ arguments: [String]) async {
    print("     series    samples  cpu ns/sample  bytes/series")
    let sizes = arguments.isEmpty ? Self.sizes : arguments.compactMap { Int($0) }
    for size in sizes { await measure(size) }
  }

  private static func measure(_ size: Int) async {
    let folder = "/tmp/pilotfish-pipeline.\(getpid())"
    let base = ProcessMemory.anonymousBytes() ?? 0
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      let url = try HTTPURL("http://127.0.0.1:9009/api/v1/push")
      var log = LogOptions(path: folder)
      log.syncInterval = .seconds(3600)
      let remote = Remote(RemoteWriteOptions(url: url, name: "sink", userAgent: "benchmark")) {
        _, _, eventLoop, completion in
        eventLoop.assumeIsolated().execute {
          completion(.success(HTTPResponse(status: 204, headers: [], body: ByteBuffer())))
        }
      }
      let storage = try RemoteStorage(
        [remote], log: log, group: group, logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() })
      try storage.start()
      let page = Families.page()
      var fleet = (0..<max(1, size / page.samples)).map { Feed(storage, instance: $0) }
      pace(&fleet, page.text, page.samples, storage)
      let used = (ProcessMemory.anonymousBytes() ?? base) - base
      let before = cpu()
      let rounds = max(1, leastSamples / (fleet.count * page.samples))
      for _ in 0..<rounds { pace(&fleet, page.text, page.samples, storage) }
      await storage.stop(within: .seconds(60))
      let samples = rounds * fleet.count * page.samples
      let cost = Int((cpu() - before) * 1e9) / samples
      print(columns([fleet.count * page.samples, samples, cost, used / (fleet.count * page.samples)]))
    } catch {
      print("\(error)")
    }
    try? await group.shutdownGracefully()
    for name in (try? Directory.names(folder)) ?? [] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  /// Scrapes each target once.
  private static func pace(_ fleet: inout [Feed], _ text: [UInt8], _ samples: Int, _ sink: RemoteStorage) {
    let start = ContinuousClock.now
    for index in fleet.indices {
      fleet[index].scrape(text, sink)
      let due = start + .seconds(Double(index * samples) / samplesPerSecond)
      let wait = due - .now
      if wait > .milliseconds(1) { usleep(useconds_t(wait / .microseconds(1))) }
    }
  }

  /// Of all threads, seconds.
  private static func cpu() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static func columns(_ values: [Int]) -> String {
    zip(values, [11, 11, 15, 14]).map { value, width in
      String(repeating: " ", count: max(1, width - String(value).utf8.count)) + String(value)
    }.joined()
  }
}

/// A target that is scraped every 15 seconds.
private struct Feed {
  private var cache: SeriesCache
  private var terms: SeriesCache.Terms

  init(_ sink: RemoteStorage, instance: Int) {
    cache = SeriesCache(sink: sink)
    terms = SeriesCache.Terms(
      labels: LabelSet([
        (name: "instance", value: "10.\(instance >> 8).\(instance & 255).7:9100"), (name: "job", value: "node"),
      ]),
      time: 1_700_000_000_000)
  }

  mutating func scrape(_ text: [UInt8], _ sink: RemoteStorage) {
    terms.time += 15_000
    var counts = SeriesCache.Counts()
    cache.begin()
    do throws(ScrapeError) { try cache.read(text.span.bytes, terms, counts: &counts) } catch {
      preconditionFailure(error.description)
    }
    cache.finish(at: terms.time)
    sink.append(cache.samples, cache.attachments)
  }
}
