import Bytes
import Exposition
import NIOCore
import NIOPosix
import Selectors
import Synchronization

/// Knows the labels of the series that it gave numbers to.
public protocol SeriesLabels: Sendable {
  /// Labels that all series get which have no label of that name, ordered by name.
  var externalLabels: LabelSet { get }

  /// Calls `body` with the labels of each series, the external ones included. The series must be registered.
  func forEachLabels(of series: ArraySlice<SeriesID>, _ body: (LabelSet) -> Void)
}

/// What of the last scrapes another Prometheus takes over by `/federate`, written as Prometheus' own handler
/// (web/federate.go) writes it: untyped, with timestamps, by name.
final class Federation: Sendable {
  /// One series in `text`.
  private struct Line {
    var start: Int
    /// Where the name ends, and where all that tells the series from others does.
    var nameEnd: Int
    var keyEnd: Int
    var end: Int
    var timestamp: Int64
  }

  /// What is written; by one thread.
  private struct Page: ~Copyable {
    var text = ByteWriter()
    var lines: [Line] = []
    /// Of the series that is written, those that are its own.
    var own = LabelSet()
  }

  /// Milliseconds.
  private static let lookback: Int64 = 300_000
  /// So many series are looked up at a time.
  private static let batch = 1024

  private let selectors: [Selector]
  private let source: any SeriesLabels
  private let external: LabelSet
  /// Older samples are not shown: milliseconds since the epoch.
  let oldest: Int64
  private let allowsUTF8: Bool
  private let page: Mutex<Page>
  /// Of all targets so far.
  private let samples = Mutex<[[Sample]]>([])

  /// - Parameters:
  ///   - selectors: a series is shown when it is of one of them; one without conditions selects nothing.
  ///   - now: milliseconds since the epoch.
  ///   - allowsUTF8: whether names may be shown as they are; otherwise those that are not legacy ones are shown with
  ///     underscores.
  init(_ selectors: [Selector], of source: any SeriesLabels, now: Int64, allowsUTF8: Bool) {
    self.selectors = selectors.filter { !$0.isEmpty }
    self.source = source
    external = source.externalLabels
    oldest = now - Federation.lookback
    self.allowsUTF8 = allowsUTF8
    page = Mutex(Page())
  }

  /// Takes the last samples of one target. Its series must not be released before `exposition` is done.
  func take(_ samples: [Sample]) {
    if !samples.isEmpty { self.samples.withLock { $0.append(samples) } }
  }

  private func write(_ samples: [Sample], to page: inout Page) {
    let series = samples.map(\.series)
    for start in stride(from: 0, to: series.count, by: Self.batch) {
      var index = start
      source.forEachLabels(of: series[start..<min(start + Self.batch, series.count)]) { labels in
        write(labels, samples[index], to: &page)
        index += 1
      }
    }
  }

  private func write(_ labels: LabelSet, _ sample: Sample, to page: inout Page) {
    page.own.removeAll()
    for index in 0..<labels.count where !isExternal(labels, index) {
      page.own.append(labels.name(at: index), labels.value(at: index))
    }
    let own = page.own
    guard let name = own.index(of: "__name__"), selectors.contains(where: { $0.matches(own) }) else { return }
    var line = Line(start: page.text.count, nameEnd: 0, keyEnd: 0, end: 0, timestamp: sample.timestamp)
    let metric = own.value(at: name)
    let isQuoted = allowsUTF8 && !NameScheme.legacy.isMetricName(metric)
    if isQuoted { page.text.append("{\"") }
    append(metric, isMetric: true, to: &page.text)
    if isQuoted { page.text.append(UInt8(ascii: "\"")) }
    line.nameEnd = page.text.count
    var separator = isQuoted ? UInt8(ascii: ",") : UInt8(ascii: "{")
    for index in 0..<own.count where index != name {
      append(own.name(at: index), own.value(at: index), &separator, to: &page.text)
    }
    appendExternal(beside: own, &separator, to: &page.text)
    if separator == UInt8(ascii: ",") { page.text.append(UInt8(ascii: "}")) }
    line.keyEnd = page.text.count
    page.text.append(.space)
    page.text.append(goFloat: sample.value)
    page.text.append(.space)
    page.text.append(decimal: sample.timestamp)
    page.text.append(.newline)
    line.end = page.text.count
    page.lines.append(line)
  }

  /// Whether the label came from the external ones, as far as can be seen.
  private func isExternal(_ labels: LabelSet, _ index: Int) -> Bool {
    let external = external
    guard let known = external.index(of: labels.name(at: index)) else { return false }
    return external.value(at: known).equals(labels.value(at: index))
  }

  /// The external labels that the series has not; and an empty `instance`, without which the one who federates would
  /// put its own there.
  private func appendExternal(beside own: LabelSet, _ separator: inout UInt8, to text: inout ByteWriter) {
    let external = external
    let instance: StaticString = "instance"
    var lacksInstance = own.index(of: instance) == nil && external.index(of: instance) == nil
    for index in 0..<external.count where own.index(of: external.name(at: index)) == nil {
      if lacksInstance, external.name(at: index).compare("instance".utf8.span.bytes) > 0 {
        append("instance".utf8.span.bytes, RawSpan(), &separator, to: &text)
        lacksInstance = false
      }
      append(external.name(at: index), external.value(at: index), &separator, to: &text)
    }
    if lacksInstance { append("instance".utf8.span.bytes, RawSpan(), &separator, to: &text) }
  }

  private func append(_ name: RawSpan, _ value: RawSpan, _ separator: inout UInt8, to text: inout ByteWriter) {
    text.append(separator)
    separator = UInt8(ascii: ",")
    let isQuoted = allowsUTF8 && !NameScheme.legacy.isLabelName(name)
    if isQuoted { text.append(UInt8(ascii: "\"")) }
    append(name, isMetric: false, to: &text)
    text.append(isQuoted ? "\"=\"" : "=\"")
    text.append(labelValue: value)
    text.append(UInt8(ascii: "\""))
  }

  /// A name as it may be shown.
  private func append(_ name: RawSpan, isMetric: Bool, to text: inout ByteWriter) {
    let scheme = NameScheme.legacy
    if isMetric ? scheme.isMetricName(name) : scheme.isLabelName(name) { return text.append(name) }
    if allowsUTF8 { return text.append(labelValue: name) }
    for (place, scalar) in String(utf8: name).unicodeScalars.enumerated() {
      switch scalar {
      case "a"..."z", "A"..."Z", "_", ":": text.append(UInt8(truncatingIfNeeded: scalar.value))
      case "0"..."9" where place > 0: text.append(UInt8(truncatingIfNeeded: scalar.value))
      default: text.append(UInt8(ascii: "_"))
      }
    }
  }

  /// All that was taken: families by name, series by their labels. Of one series that several targets have, the newest
  /// sample.
  func exposition() -> ByteBuffer {
    let taken = samples.withLock { samples in
      defer { samples = [] }
      return samples
    }
    return page.withLock { page in
      for samples in taken { write(samples, to: &page) }
      let lines = page.text.withUnsafeBytes { text in
        func compare(_ one: Range<Int>, _ other: Range<Int>) -> Int {
          RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: text[one]))
            .compare(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: text[other])))
        }
        return page.lines.sorted { one, other in
          let names = compare(one.start..<one.nameEnd, other.start..<other.nameEnd)
          if names != 0 { return names < 0 }
          let keys = compare(one.start..<one.keyEnd, other.start..<other.keyEnd)
          return keys == 0 ? one.timestamp > other.timestamp : keys < 0
        }
      }
      var output = ByteBuffer()
      output.reserveCapacity(page.text.count + page.text.count / 8)
      page.text.withUnsafeBytes { text in
        func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: text[range]) }
        var last: Line?
        for line in lines {
          if let last, bytes(last.start..<last.keyEnd).elementsEqual(bytes(line.start..<line.keyEnd)) { continue }
          let isNewFamily =
            last.map { !bytes($0.start..<$0.nameEnd).elementsEqual(bytes(line.start..<line.nameEnd)) } ?? true
          if isNewFamily {
            let name = bytes(line.start..<line.nameEnd)
            output.writeString("# TYPE ")
            // A quoted name begins with the brace.
            output.writeBytes(name.first == UInt8(ascii: "{") ? name.dropFirst() : name[...])
            output.writeString(" untyped\n")
          }
          output.writeBytes(bytes(line.start..<line.end))
          last = line
        }
      }
      return output
    }
  }
}

extension ScrapeManager {
  /// The last samples of all series that are of one of the selectors, as Prometheus federates them; `done` is called
  /// once, on any thread, with nil when too many wait for an answer. Nothing is known of them unless the manager
  /// `keepsValues`.
  ///
  /// The event loops only copy numbers: names are looked up, matched, written and sorted on a thread of federations,
  /// one after the other, so that several who ask take no more memory than one.
  ///
  /// - Parameters:
  ///   - labels: where the series were registered.
  ///   - allowsUTF8: whether the asker reads names of any UTF-8.
  public func federate(
    _ selectors: [Selector], labels: any SeriesLabels, allowsUTF8: Bool,
    _ done: @escaping @Sendable (ByteBuffer?) -> Void
  ) {
    let isTaken = federations.add { next in
      let federation = Federation(selectors, of: labels, now: wallClock() / 1_000_000, allowsUTF8: allowsUTF8)
      let loops = self.allLoops()
      let render: @Sendable () -> Void = {
        FederationQueue.threads.submit { _ in
          let body = federation.exposition()
          for loop in loops { loop.endFederation() }
          done(body)
          next()
        }
      }
      let missing = Countdown(loops.count)
      if loops.isEmpty { return render() }
      for loop in loops {
        loop.federate(to: federation) {
          if missing.countDown() { render() }
        }
      }
    }
    if !isTaken { done(nil) }
  }
}

/// Federations, of which one is made at a time.
final class FederationQueue: Sendable {
  /// A federation; it calls what it is given when it is done.
  typealias Job = @Sendable (_ next: @escaping @Sendable () -> Void) -> Void

  static let threads: NIOThreadPool = {
    let threads = NIOThreadPool(numberOfThreads: 1)
    threads.start()
    return threads
  }()
  /// So many may wait.
  private static let limit = 16

  private struct State {
    var isBusy = false
    var waiting: [Job] = []
  }

  private let state = Mutex(State())

  /// - Returns: whether it will be made; not when too many wait.
  func add(_ job: @escaping Job) -> Bool {
    let (starts, isTaken): (Bool, Bool) = state.withLock { state in
      if !state.isBusy {
        state.isBusy = true
        return (true, true)
      }
      guard state.waiting.count < Self.limit else { return (false, false) }
      state.waiting.append(job)
      return (false, true)
    }
    if starts { job { self.next() } }
    return isTaken
  }

  private func next() {
    let job: Job? = state.withLock { state in
      if state.waiting.isEmpty { state.isBusy = false }
      return state.waiting.isEmpty ? nil : state.waiting.removeFirst()
    }
    job? { self.next() }
  }
}

/// Counts down what is missing.
private final class Countdown: Sendable {
  private let count: Atomic<Int>

  init(_ count: Int) { self.count = Atomic(count) }

  /// Whether nothing is missing any more.
  func countDown() -> Bool { count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
}
