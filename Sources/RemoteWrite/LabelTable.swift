import Bytes
import Exposition

/// What a series may have before it is refused: bounds on what comes from outside.
public struct LabelLimits: Sendable {
  /// Bytes of a label name.
  public var nameBytes = 1024
  /// Bytes of a label value.
  public var valueBytes = 65_536
  /// Labels of one series, external labels included.
  public var labels = 256

  public init() {}
}

/// The series that are registered, with their labels as remote write sends them.
///
/// A label pair is kept once, already encoded as a field `labels` of `prometheus.TimeSeries`; a series is a list of
/// pair numbers in the order of the names. So a series costs about 24 bytes and 4 a label, and the encoder copies
/// what was encoded once. A series lives while it is registered or a queued sample refers to it; then its number,
/// and the room of pairs that only it had, are used again.
package struct LabelTable: ~Copyable {
  private struct Pair: HashIndex.Record {
    var offset: UInt32
    var length: UInt32
    var hash: UInt32
    /// 0: the record is free.
    var references: UInt32
  }

  private struct Series: HashIndex.Record {
    var offset: UInt32
    var count: UInt32
    var hash: UInt32
    /// The sum of the lengths of its pairs.
    var labelBytes: UInt32
    /// Registrations that are not released.
    var references: UInt32
    /// Samples in queues and on their way, over all remotes.
    var pending: UInt32
  }

  private let external: LabelSet
  private let limits: LabelLimits

  private var pairs: [Pair] = []
  private var freePairs: [UInt32] = []
  private var pairIndex = HashIndex()
  private var pairBytes = Arena<UInt8>()

  private var series: [Series] = []
  private var freeSeries: [UInt32] = []
  private var seriesIndex = HashIndex()
  private var lists = Arena<UInt32>()

  private var list: [UInt32] = []
  private var encoded = ByteWriter(capacity: 256)

  /// - Parameter external: labels that every series gets unless it has a label of that name.
  package init(external: LabelSet = LabelSet(), limits: LabelLimits = LabelLimits()) {
    var external = external
    external.removeEmpty()
    external.sort()
    self.external = external
    self.limits = limits
  }

  /// Series that are registered or still have samples queued.
  var count: Int { seriesIndex.count }
  /// Different label pairs.
  var pairCount: Int { pairIndex.count }
  /// What the labels take, in bytes; for tests and for the curious.
  var storedBytes: Int {
    pairBytes.elements.count + lists.elements.count * 4 + pairs.count * MemoryLayout<Pair>.stride
      + series.count * MemoryLayout<Series>.stride
  }

  // MARK: Registering

  /// The number of the series with these labels and the external ones. Nil when a name or value is too long or not
  /// UTF-8, a name is empty or there twice, `__name__` is missing, or there are too many.
  package mutating func register(_ labels: LabelSet) -> UInt32? {
    list.removeAll(keepingCapacity: true)
    guard internPairs(of: labels) else {
      for pair in list { releasePair(pair) }
      return nil
    }
    var hasher = Hasher()
    for pair in list { hasher.combine(pair) }
    let hash = UInt32(truncatingIfNeeded: hasher.finalize())
    let known = seriesIndex.find(hash) { candidate in
      let record = series[Int(candidate)]
      return record.hash == hash && lists.elements[range(of: record)].elementsEqual(list)
    }
    if let known {
      // The series holds these pairs already.
      for pair in list { releasePair(pair) }
      series[Int(known)].references += 1
      return known
    }
    return addSeries(hash)
  }

  private mutating func addSeries(_ hash: UInt32) -> UInt32? {
    guard series.count < Int(UInt32.max) - 1 || !freeSeries.isEmpty, let offset = lists.append(list) else {
      for pair in list { releasePair(pair) }
      return nil
    }
    let labelBytes = list.reduce(0) { $0 + pairs[Int($1)].length }
    let record = Series(
      offset: offset, count: UInt32(list.count), hash: hash, labelBytes: labelBytes, references: 1, pending: 0)
    let number: UInt32
    if let free = freeSeries.popLast() {
      number = free
      series[Int(number)] = record
    } else {
      number = UInt32(series.count)
      series.append(record)
    }
    seriesIndex.insert(number, of: series)
    return number
  }

  /// Merges the labels with the external ones, in the order of names, into `list`; says whether all are valid.
  private mutating func internPairs(of labels: LabelSet) -> Bool {
    let external = self.external
    var own = 0
    var outer = 0
    var hasName = false
    var last: (isExternal: Bool, index: Int)?
    while own < labels.count || outer < external.count {
      if own < labels.count, labels.value(at: own).byteCount == 0 {
        own += 1
        continue
      }
      let order =
        own == labels.count
        ? 1 : outer == external.count ? -1 : labels.name(at: own).compare(external.name(at: outer))
      let isExternal = order > 0
      let index = isExternal ? outer : own
      if let last {
        let previous = last.isExternal ? external.name(at: last.index) : labels.name(at: last.index)
        let name = isExternal ? external.name(at: index) : labels.name(at: index)
        guard previous.compare(name) < 0 else { return false }
      }
      last = (isExternal, index)
      let pair =
        isExternal
        ? intern(external.name(at: index), external.value(at: index))
        : intern(labels.name(at: index), labels.value(at: index))
      guard let pair else { return false }
      list.append(pair)
      guard list.count <= limits.labels else { return false }
      if !isExternal, labels.name(at: index).equals("__name__") { hasName = true }
      if order >= 0 { outer += 1 }
      if order <= 0 { own += 1 }
    }
    return hasName
  }

  /// The number of a label pair, with one more reference; nil when it is not valid.
  private mutating func intern(_ name: RawSpan, _ value: RawSpan) -> UInt32? {
    guard name.byteCount > 0, name.byteCount <= limits.nameBytes, value.byteCount <= limits.valueBytes else {
      return nil
    }
    encode(name, value)
    var hasher = Hasher()
    encoded.withUnsafeBytes { hasher.combine(bytes: $0) }
    let hash = UInt32(truncatingIfNeeded: hasher.finalize())
    if let known = findPair(hash) {
      pairs[Int(known)].references += 1
      return known
    }
    let bytes = encoded.bytes.array
    guard name.isUTF8, value.isUTF8, let offset = pairBytes.append(bytes) else { return nil }
    let record = Pair(offset: offset, length: UInt32(encoded.count), hash: hash, references: 1)
    let number: UInt32
    if let free = freePairs.popLast() {
      number = free
      pairs[Int(number)] = record
    } else {
      number = UInt32(truncatingIfNeeded: pairs.count)
      pairs.append(record)
    }
    pairIndex.insert(number, of: pairs)
    return number
  }

  /// The pair whose bytes stand in `encoded`.
  private func findPair(_ hash: UInt32) -> UInt32? {
    pairIndex.find(hash) { candidate in
      let record = pairs[Int(candidate)]
      guard record.hash == hash, Int(record.length) == encoded.count else { return false }
      return pairBytes.elements.withUnsafeBytes { all in
        encoded.withUnsafeBytes { $0.elementsEqual(all[range(of: record)]) }
      }
    }
  }

  /// `prometheus.TimeSeries.labels = 1`, a `Label { name = 1; value = 2 }`.
  private mutating func encode(_ name: RawSpan, _ value: RawSpan) {
    func length(_ count: Int) -> Int { 1 + Protobuf.varintLength(UInt64(count)) + count }
    encoded.removeAll()
    encoded.append(Protobuf.lengthDelimited(1))
    encoded.append(varint: UInt64(length(name.byteCount) + length(value.byteCount)))
    encoded.append(Protobuf.lengthDelimited(1))
    encoded.append(varint: UInt64(name.byteCount))
    encoded.append(name)
    encoded.append(Protobuf.lengthDelimited(2))
    encoded.append(varint: UInt64(value.byteCount))
    encoded.append(value)
  }

  // MARK: The life of a series

  /// Takes one registration back.
  mutating func release(_ number: UInt32) {
    guard Int(number) < series.count, series[Int(number)].references > 0 else { return }
    series[Int(number)].references -= 1
    reclaimIfUnused(number)
  }

  /// `copies` queues are about to hold a sample of the series. False when there is no such series.
  mutating func hold(_ number: UInt32, copies: UInt32) -> Bool {
    guard Int(number) < series.count, series[Int(number)].references > 0 else { return false }
    series[Int(number)].pending &+= copies
    return true
  }

  /// A queue has done with a sample of the series.
  mutating func letGo(_ number: UInt32) {
    guard Int(number) < series.count, series[Int(number)].pending > 0 else { return }
    series[Int(number)].pending -= 1
    reclaimIfUnused(number)
  }

  private mutating func reclaimIfUnused(_ number: UInt32) {
    let record = series[Int(number)]
    guard record.references == 0, record.pending == 0 else { return }
    seriesIndex.remove(number, of: series)
    for index in range(of: record) { releasePair(lists.elements[index]) }
    lists.giveUp(Int(record.count))
    series[Int(number)].count = 0
    freeSeries.append(number)
    if lists.wantsCompaction { compactLists() }
  }

  private mutating func releasePair(_ number: UInt32) {
    pairs[Int(number)].references -= 1
    guard pairs[Int(number)].references == 0 else { return }
    pairIndex.remove(number, of: pairs)
    pairBytes.giveUp(Int(pairs[Int(number)].length))
    freePairs.append(number)
    if pairBytes.wantsCompaction { compactPairs() }
  }

  private mutating func compactPairs() {
    var moved = pairBytes.emptied()
    for index in pairs.indices where pairs[index].references > 0 {
      pairs[index].offset = moved.move(range(of: pairs[index]), from: pairBytes)
    }
    pairBytes = moved
  }

  private mutating func compactLists() {
    var moved = lists.emptied()
    for index in series.indices where series[index].count > 0 {
      series[index].offset = moved.move(range(of: series[index]), from: lists)
    }
    lists = moved
  }

  private func range(of pair: Pair) -> Range<Int> { Int(pair.offset)..<Int(pair.offset) + Int(pair.length) }
  private func range(of series: Series) -> Range<Int> { Int(series.offset)..<Int(series.offset) + Int(series.count) }

  // MARK: Encoding

  /// The length of the series' encoded labels, in bytes.
  func labelBytes(of number: UInt32) -> Int { Int(series[Int(number)].labelBytes) }

  /// Appends the series' encoded labels.
  func appendLabels(of number: UInt32, to output: inout ByteWriter) {
    let record = series[Int(number)]
    output.reserve(Int(record.labelBytes))
    pairBytes.elements.withUnsafeBytes { all in
      for index in range(of: record) {
        output.append(UnsafeRawBufferPointer(rebasing: all[range(of: pairs[Int(lists.elements[index])])]))
      }
    }
  }
}

extension RawSpan {
  fileprivate var isUTF8: Bool { withUnsafeBytes { String(validating: $0, as: UTF8.self) != nil } }
}
