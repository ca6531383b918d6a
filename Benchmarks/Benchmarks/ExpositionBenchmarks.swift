// The text format: writing it as the exporter does, reading it as the agent does.

import Bytes
import Exposition
import Scraping

func runWriter(_ name: String) {
  let families = Families()
  let writers = [MetricWriter()]
  let exposition = TextExposition()
  var output = ByteWriter()
  let page = Families.page()
  var round = 0
  Measurement.run(name, samples: page.samples, bytes: page.text.count) {
    round += 1
    writers[0].removeAll()
    families.write(to: writers[0], round: round)
    output.removeAll()
    exposition.render(writers, into: &output)
  }
}

func runParser(_ name: String) {
  let page = Families.page()
  Measurement.run(name, samples: page.samples, bytes: page.text.count) {
    use(sum(of: page.text.span.bytes))
  }
}

/// Reads all series and values of a text that is in order.
private func sum(of text: RawSpan) -> Double {
  var parser = TextParser(text)
  var sum = 0.0
  do throws(ExpositionError) {
    while let entry = try parser.next() {
      guard entry == .sample else { continue }
      try parser.readSeries()
      try parser.readValue()
      sum += parser.value
    }
  } catch { return .nan }
  return sum
}

func runNumbers(_ name: String) {
  let numbers = ["0", "1", "12.5", "1.6777216e+07", "1700000123.4567", "0.000123", "NaN", "17179869184", "98.7", "-3"]
    .map { Array($0.utf8) }
  let bytes = numbers.reduce(0) { $0 + $1.count }
  Measurement.run(name, samples: numbers.count, bytes: bytes) {
    var sum = 0.0
    for number in numbers { sum += Double(goSyntax: number.span.bytes) ?? 0 }
    use(sum)
  }
}

func runSeriesCache(_ name: String) { runSeriesCache(name, .text) }
func runOpenMetricsSeriesCache(_ name: String) { runSeriesCache(name, .openMetrics) }
func runProtobufSeriesCache(_ name: String) { runSeriesCache(name, .protobuf) }

private func runSeriesCache(_ name: String, _ format: ExpositionFormat) {
  let page = Families.page(as: format)
  var feed = Feed()
  Measurement.run(name, samples: page.samples, bytes: page.text.count) {
    feed.scrape { cache, terms, counts throws(ScrapeError) in
      try cache.read(page.text.span.bytes, as: format, terms, counts: &counts)
    }
  }
}

/// What the agent's own collectors wrote, without a text in between.
func runWriterSeriesCache(_ name: String) {
  let writer = MetricWriter()
  Families().write(to: writer, round: 1)
  let page = Families.page()
  var feed = Feed()
  Measurement.run(name, samples: page.samples, bytes: page.text.count) {
    feed.scrape { cache, terms, counts throws(ScrapeError) in
      try cache.read([writer], terms, counts: &counts)
    }
  }
}

/// The first scrape of a target: all series are parsed and registered.
func runNewSeries(_ name: String) {
  let page = Families.page()
  Measurement.run(name, samples: page.samples, bytes: page.text.count) {
    var feed = Feed()
    feed.scrape { cache, terms, counts throws(ScrapeError) in
      try cache.read(page.text.span.bytes, terms, counts: &counts)
    }
  }
}

/// A series cache that is fed every 15 seconds.
private struct Feed {
  private var cache = SeriesCache(sink: CountingSink())
  private var terms = SeriesCache.Terms(
    labels: LabelSet([(name: "instance", value: "localhost:9100"), (name: "job", value: "node")]),
    time: 1_700_000_000_000)

  mutating func scrape(
    _ read: (inout SeriesCache, SeriesCache.Terms, inout SeriesCache.Counts) throws(ScrapeError) -> Void
  ) {
    terms.time += 15_000
    var counts = SeriesCache.Counts()
    cache.begin()
    do throws(ScrapeError) { try read(&cache, terms, &counts) } catch { preconditionFailure(error.description) }
    cache.finish(at: terms.time)
    use(cache.samples.count)
  }
}
