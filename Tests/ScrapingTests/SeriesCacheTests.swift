import Bytes
import Exposition
import TestSupport
import Testing

@testable import Scraping

/// A cache that is fed texts at 1000, 2000, … milliseconds.
private struct Feed {
  var cache: SeriesCache
  let sink: RecordingSink
  var time: Int64 = 0
  var counts = SeriesCache.Counts()
  var target = LabelSet([(name: "job", value: "j")])
  var honorLabels = false
  var format = ExpositionFormat.text

  init(_ sink: RecordingSink = RecordingSink()) {
    self.sink = sink
    cache = SeriesCache(sink: sink)
  }

  mutating func flush() {
    if !cache.samples.isEmpty { sink.append(cache.samples, cache.attachments) }
    sink.release(cache.released)
  }

  /// Scrapes a text, nil being a target that does not answer; gives what was stored.
  mutating func scrape(_ text: String?) -> [String: [Stored]] {
    time += 1000
    counts = .init()
    cache.begin()
    var isGood = false
    if let text {
      do throws(ScrapeError) {
        try cache.read(
          text.utf8.span.bytes, as: format, .init(labels: target, honorLabels: honorLabels, time: time), counts: &counts
        )
        isGood = true
      } catch {}
    }
    if isGood { cache.finish(at: time) } else { cache.fail(at: time) }
    flush()
    return sink.take()
  }
}

@Test func steadyStateLooksNothingUpAndParsesNothing() {
  var feed = Feed()
  let body = { (round: Int) in
    "# TYPE h histogram\n" + (0..<100).map { "h_bucket{le=\"\($0)\"} \(round + $0)\nplain_\($0) \(round)\n" }.joined()
  }
  #expect(feed.scrape(body(0)).count == 200)
  #expect(feed.cache.parses == 200)
  for round in 1..<5 {
    #expect(feed.scrape(body(round)).count == 200)
    #expect(feed.counts.scraped == 200 && feed.counts.kept == 200 && feed.counts.added == 0)
  }
  #expect(feed.cache.parses == 200 && feed.cache.lookups == 200)
}

@Test func moveInsertAndDelete() {
  var feed = Feed()
  _ = feed.scrape("a 1\nb 1\nc 1\n")
  #expect(
    feed.scrape("a 2\nx 2\nc 2\n") == [
      #"{__name__="a", job="j"}"#: [Stored(2, at: 2000)], #"{__name__="x", job="j"}"#: [Stored(2, at: 2000)],
      #"{__name__="c", job="j"}"#: [Stored(2, at: 2000)], #"{__name__="b", job="j"}"#: [Stored(.staleMarker, at: 2000)],
    ])
  #expect(feed.cache.parses == 4)
  #expect(feed.scrape("c 3\na 3\nx 3\n").count == 3)
  #expect(feed.cache.parses == 4)
  #expect(feed.sink.balance == 3)
  #expect(feed.scrape("").values.allSatisfy { $0 == [Stored(.staleMarker, at: 4000)] })
  #expect(feed.sink.balance == 0)
}

/// A series that a scrape of long ago stored, and that came with timestamps of its own since, ends without a marker,
/// in whichever scrape that is.
@Test(arguments: [254, 255, 256, 509, 510, 511]) func scrapesOfLongAgoAreForgotten(rounds: Int) {
  var feed = Feed()
  _ = feed.scrape("a 1\nb 1\n")
  for round in 1..<rounds {
    let stored = feed.scrape("a \(round)\nb \(round) \(feed.time + 500)\n")
    #expect(stored.count == 2 || round == 1)
  }
  #expect(feed.scrape("a 1\n").count == 1)
  #expect(feed.sink.balance == 1)
}

@Test func theFirstOfEqualSeriesWins() {
  var feed = Feed()
  for round in 1...3 {
    let stored = feed.scrape("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\"} 3\n")
    #expect(Array(stored.values) == [[Stored(1, at: Int64(round) * 1000)]])
    #expect(feed.counts.duplicates == 2 && feed.counts.kept == 3)
  }
  // The other spelling alone is the same series: no marker, no new registration left over.
  #expect(Array(feed.scrape("a{y=\"2\",x=\"1\"} 4\n").values) == [[Stored(4, at: 4000)]])
  #expect(feed.sink.balance == 1)
}

@Test func aFailedScrapeStoresNothingAndEndsSeriesOnce() {
  var feed = Feed()
  _ = feed.scrape("a 1\nb 1 1500\n")
  #expect(
    feed.scrape("a 2\nnew 2\nb 2 1700\nbad line\n") == [#"{__name__="a", job="j"}"#: [Stored(.staleMarker, at: 2000)]])
  #expect(feed.counts.scraped == 3 && feed.counts.added == 1)
  #expect(feed.scrape(nil).isEmpty)
  // The explicit timestamp of the failed scrape was not stored, so it is not old.
  #expect(feed.scrape("a 4\nb 4 1700\n").values.flatMap { $0 }.count == 2)
  #expect(feed.sink.balance == 2)
}

@Test func explicitTimestamps() {
  var feed = Feed()
  let b = #"{__name__="b", job="j"}"#
  #expect(feed.scrape("b 1 500\nfar 1 602000\n") == [b: [Stored(1, at: 500)]])
  #expect(feed.counts.outOfBounds == 1)
  #expect(feed.scrape("b 1 500\nb 2 600\n") == [b: [Stored(2, at: 600)]])
  #expect(feed.counts.outOfOrder == 1)
  #expect(feed.scrape("").isEmpty)
  #expect(feed.sink.balance == 0)
}

@Test func refusedSeriesAreRememberedAndCounted() {
  var feed = Feed(RecordingSink(refusing: { $0.description.contains("\"no\"") }))
  for _ in 0..<3 {
    #expect(feed.scrape("no 1\nyes 1\n").count == 1)
    #expect(feed.counts.kept == 2)
  }
  #expect(feed.cache.parses == 2)
}

@Test func textsUnderAnotherTypeAreOtherSeries() {
  var feed = Feed()
  let plain = feed.scrape("h{le=\"1\"} 1\n")
  #expect(plain.keys.first == #"{__name__="h", job="j", le="1"}"#)
  let typed = feed.scrape("# TYPE h histogram\nh{le=\"1\"} 1\n")
  #expect(typed[#"{__name__="h", job="j", le="1.0"}"#] == [Stored(1, at: 2000)])
  #expect(typed[#"{__name__="h", job="j", le="1"}"#] == [Stored(.staleMarker, at: 2000)])
}

@Test(arguments: [
  (#"a{job="x"} 1"#, false, #"{__name__="a", exported_job="x", job="j"}"#),
  (#"a{job="x",exported_job="z"} 1"#, false, #"{__name__="a", exported_exported_job="x", exported_job="z", job="j"}"#),
  (#"a{job=""} 1"#, false, #"{__name__="a", job="j"}"#), (#"a{job=""} 1"#, true, #"{__name__="a"}"#),
  (#"a{job="x"} 1"#, true, #"{__name__="a", job="x"}"#), (#"a{x=""} 1"#, true, #"{__name__="a", job="j"}"#),
])
func labelsAreMerged(text: String, honorLabels: Bool, expected: String) {
  var feed = Feed()
  feed.honorLabels = honorLabels
  #expect(Array(feed.scrape(text).keys) == [expected])
}

@Test(arguments: [
  (#"a{__name__="b"} 1"#, #"label name "__name__" is not unique"#), (#"a{x="1",x="2"} 1"#, "is not unique"),
  (#"{""} 1"#, "missing metric name"), (#"a{""="x"} 1"#, "invalid metric name or label names"),
])
func seriesThatCannotBeStored(text: String, part: String) throws {
  var cache = SeriesCache(sink: RecordingSink())
  var counts = SeriesCache.Counts()
  cache.begin()
  let error = #expect(throws: ScrapeError.self) {
    try cache.read(text.utf8.span.bytes, .init(labels: LabelSet(), time: 1), counts: &counts)
  }
  #expect(error?.description.contains(part) == true)
}

/// The cache against a model that parses everything every time.
@Test(arguments: 0..<40)
func agreesWithTheModel(seed: UInt64) {
  var generator = SeededGenerator(seed)
  let pool = (0..<12).flatMap { ["m\($0)", "m\($0){}", "n{x=\"\($0)\",y=\"1\"}", "n{y=\"1\",x=\"\($0)\"}"] }
  var feed = Feed()
  var lines: [String] = []
  var last: [String: Int64] = [:]
  var tracked: Set<String> = []
  for _ in 0..<120 {
    for _ in 0..<Int.random(in: 0..<4, using: &generator) {
      switch Int.random(in: 0..<5, using: &generator) {
      case 0, 1:
        lines.insert(pool.randomElement(using: &generator)!, at: Int.random(in: 0...lines.count, using: &generator))
      case 2: if !lines.isEmpty { lines.remove(at: Int.random(in: 0..<lines.count, using: &generator)) }
      case 3: if lines.count > 1 { lines.swapAt(0, Int.random(in: 0..<lines.count, using: &generator)) }
      default: if Int.random(in: 0..<6, using: &generator) == 0 { lines.shuffle(using: &generator) }
      }
    }
    let time = feed.time + 1000
    var text = ""
    var expected: [String: [Stored]] = [:]
    var (seen, nowTracked, newLast): (Set<String>, Set<String>, [String: Int64]) = ([], [], last)
    for (index, line) in lines.enumerated() {
      let timestamp: Int64? = Int.random(in: 0..<8, using: &generator) == 0 ? time - Int64(index) : nil
      text += "\(line) \(index)" + (timestamp.map { " \($0)" } ?? "") + "\n"
      let name = line.hasPrefix("m") ? line.prefix { $0 != "{" } : "n"
      let number = line.filter(\.isNumber)
      let x = line.contains("{x") ? number.dropLast() : number.dropFirst()
      let key = name == "n" ? "{__name__=\"n\", job=\"j\", x=\"\(x)\", y=\"1\"}" : "{__name__=\"\(name)\", job=\"j\"}"
      defer { seen.insert(key) }
      if seen.contains(key), timestamp == nil { continue }
      guard timestamp ?? time > newLast[key] ?? .min else { continue }
      newLast[key] = timestamp ?? time
      if timestamp == nil { nowTracked.insert(key) }
      expected[key, default: []].append(Stored(Double(index), at: timestamp ?? time))
    }
    let fails = Int.random(in: 0..<10, using: &generator) == 0
    if fails {
      text += "bad line\n"
      expected = [:]
      for key in tracked { expected[key] = [Stored(.staleMarker, at: time)] }
      for key in tracked { last[key] = time }
      tracked = []
    } else {
      for key in tracked.subtracting(nowTracked) where time > newLast[key] ?? .min {
        expected[key, default: []].append(Stored(.staleMarker, at: time))
        newLast[key] = time
      }
      // What is released is forgotten.
      last = newLast.filter { seen.contains($0.key) }
      tracked = nowTracked
    }
    let stored = feed.scrape(text)
    #expect(stored == expected)
    if stored != expected { return }
    if !fails { #expect(feed.sink.balance == seen.count) }
  }
}
