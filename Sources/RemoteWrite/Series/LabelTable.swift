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
/// pair numbers in the order of the names. So a series costs about 40 bytes and 4 a label, and the encoders copy what
/// was encoded once.
///
/// A series lives while it is registered, while samples of it are held (they are on their way to a remote), and until
/// it is buried as often as it lost its last registration: the owner buries it when the samples that were appended
/// until then have left memory. Then its number, and the room of pairs that only it had, are used again.
package struct LabelTable: ~Copyable {
  private struct Pair: HashIndex.Record {
    var offset: UInt32
    var length: UInt32
    var hash: UInt32
    /// 0: the record is free.
    var references: UInt32
    /// 1 + the pair's number in the segment that is being written; 0: it is not in it.
    var logNumber: UInt32 = 0
  }

  private struct Series: HashIndex.Record {
    var offset: UInt32
    var hash: UInt32
    /// The sum of the lengths of its pairs.
    var labelBytes: UInt32
    /// Registrations that are not released.
    var references: UInt32
    /// Samples on their way, over all remotes.
    var held: UInt32
    /// What is known of its family: 1 + an index of `metadata`; 0: nothing.
    var metadata: UInt32
    /// As for pairs.
    var logNumber: UInt32
    /// Pairs.
    var count: UInt16
    /// Burials that are outstanding.
    var graves: UInt16
  }

  private(set) var external: LabelSet
  private let limits: LabelLimits

  private var pairs: [Pair] = []
  private var freePairs: [UInt32] = []
  private var pairIndex = HashIndex()
  private var pairBytes = Arena<UInt8>()

  private var series: [Series] = []
  private var freeSeries: [UInt32] = []
  private var seriesIndex = HashIndex()
  private var lists = Arena<UInt32>()
  private var groups = HAGroups()

  private var metadataTable = MetadataTable()
  private var starts: [UInt32: Int64] = [:]

  private var list: [UInt32] = []
  private var encoded = ByteWriter(capacity: 256)

  /// - Parameter external: labels that every series gets unless it has a label of that name.
  package init(external: LabelSet = LabelSet(), limits: LabelLimits = LabelLimits()) {
    self.external = LabelSet()
    self.limits = limits
    setExternal(external)
  }

  /// From now on series get these labels. Those that are registered stay as they are until they are registered anew.
  mutating func setExternal(_ labels: LabelSet) {
    external = labels
    external.removeEmpty()
    external.sort()
  }

  /// Series that are registered or still have samples in memory.
  var count: Int { seriesIndex.count }
  /// Different label pairs.
  var pairCount: Int { pairIndex.count }
  /// What the labels take, in bytes; for tests and for the curious.
  var storedBytes: Int {
    pairBytes.elements.count + lists.elements.count * 4 + pairs.count * MemoryLayout<Pair>.stride
      + series.count * MemoryLayout<Series>.stride
  }

  // MARK: Registering

  /// The number of the series with these labels and the external ones. What is said of its family replaces what was
  /// said before; nothing changes when nothing is said. Nil when a name or value is too long or not
  /// UTF-8, a name is empty or there twice, `__name__` is missing, or there are too many.
  package mutating func register(_ labels: LabelSet, _ metadata: MetricMetadata? = nil) -> UInt32? {
    list.removeAll(keepingCapacity: true)
    guard internPairs(of: labels) else {
      for pair in list { releasePair(pair) }
      return nil
    }
    let hash = hashOfList()
    if let known = findList(hash) {
      // The series holds these pairs already.
      for pair in list { releasePair(pair) }
      series[Int(known)].references += 1
      describe(known, metadata)
      return known
    }
    guard let number = addSeries(hash) else { return nil }
    describe(number, metadata)
    return number
  }

  /// The number of the series with these labels and the external ones, if it is registered; it gets no registration.
  mutating func find(_ labels: LabelSet) -> UInt32? {
    list.removeAll(keepingCapacity: true)
    let isValid = internPairs(of: labels)
    let known = isValid ? findList(hashOfList()) : nil
    for pair in list { releasePair(pair) }
    return known.flatMap { isRegistered($0) ? $0 : nil }
  }

  private func hashOfList() -> UInt32 {
    var hasher = Hasher()
    for pair in list { hasher.combine(pair) }
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }

  /// The series whose pairs stand in `list`.
  private func findList(_ hash: UInt32) -> UInt32? {
    seriesIndex.find(hash) { candidate in
      let record = series[Int(candidate)]
      return record.hash == hash && lists.elements[range(of: record)].elementsEqual(list)
    }
  }

  private mutating func addSeries(_ hash: UInt32) -> UInt32? {
    guard series.count < Int(UInt32.max) - 1 || !freeSeries.isEmpty, let offset = lists.append(list) else {
      for pair in list { releasePair(pair) }
      return nil
    }
    let labelBytes = list.reduce(0) { $0 + pairs[Int($1)].length }
    let record = Series(
      offset: offset, hash: hash, labelBytes: labelBytes, references: 1, held: 0, metadata: 0, logNumber: 0,
      count: UInt16(truncatingIfNeeded: list.count), graves: 0)
    let number: UInt32
    if let free = freeSeries.popLast() {
      number = free
      series[Int(number)] = record
    } else {
      number = UInt32(series.count)
      series.append(record)
    }
    seriesIndex.insert(number, of: series)
    groups.added(series: number, group: groups.hasReplica(among: list) ? group(ofPairs: list) : 0)
    return number
  }

  // MARK: Replicas

  /// Whether any series has a group.
  @inline(__always)
  var hasGroups: Bool { !groups.isEmpty }

  /// The series' group (`HAGroups`).
  @inline(__always)
  func group(of number: UInt32) -> UInt32 { groups[number] }

  private func group(ofPairs pairs: [UInt32]) -> UInt32 {
    var names = 0
    var fingerprint = SeriesFingerprint()
    for pair in pairs {
      let isJudged = withPair(pair) { name, _ in name.equals("cluster") || name.equals("__replica__") }
      guard isJudged else { continue }
      names += 1
      fingerprint.combine(hash(ofPair: pair))
    }
    guard names == 2 else { return 0 }
    return max(UInt32(truncatingIfNeeded: fingerprint.value ^ fingerprint.value >> 32), 1)
  }

  private func hash(ofPair pair: UInt32) -> UInt64 {
    pairBytes.elements.withUnsafeBytes { all in
      SeriesFingerprint.hash(
        ofPair: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: all[range(of: pairs[Int(pair)])])))
    }
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
    groups.added(pair: number, name: name)
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

  /// Takes one registration back; true when it was the last one: the series then wants one `bury`.
  mutating func release(_ number: UInt32) -> Bool {
    guard Int(number) < series.count, series[Int(number)].references > 0 else { return false }
    series[Int(number)].references -= 1
    guard series[Int(number)].references == 0 else { return false }
    // When the count is full the series stays for ever, which is no more than a waste.
    if series[Int(number)].graves < .max { series[Int(number)].graves += 1 }
    return true
  }

  /// The samples that were appended before the series lost its last registration are not in memory any more.
  mutating func bury(_ number: UInt32) {
    guard series[Int(number)].graves < .max else { return }
    series[Int(number)].graves -= 1
    reclaimIfUnused(number)
  }

  /// Whether samples may be appended to the series.
  @inline(__always)
  func isRegistered(_ number: UInt32) -> Bool {
    Int(number) < series.count && series[Int(number)].references > 0
  }

  /// A sample of the series is on its way.
  @inline(__always)
  mutating func hold(_ number: UInt32) { series[Int(number)].held &+= 1 }

  /// A sample of the series has arrived, or is given up.
  @inline(__always)
  mutating func letGo(_ number: UInt32) {
    series[Int(number)].held &-= 1
    if series[Int(number)].references == 0 { reclaimIfUnused(number) }
  }

  /// Numbers that are free for other series now, since the list was emptied last.
  var reclaimed: [UInt32] = []

  private mutating func reclaimIfUnused(_ number: UInt32) {
    let record = series[Int(number)]
    guard record.references == 0, record.held == 0, record.graves == 0, record.count > 0 else { return }
    seriesIndex.remove(number, of: series)
    for index in range(of: record) { releasePair(lists.elements[index]) }
    lists.giveUp(Int(record.count))
    metadataTable.release(record.metadata)
    series[Int(number)].count = 0
    series[Int(number)].metadata = 0
    series[Int(number)].logNumber = 0
    if !starts.isEmpty { starts[number] = nil }
    freeSeries.append(number)
    reclaimed.append(number)
    if lists.wantsCompaction { compactLists() }
  }

  // MARK: Metadata

  /// What is known of the family of the series.
  func metadata(of number: UInt32) -> MetricMetadata? { metadataTable[series[Int(number)].metadata] }

  private mutating func describe(_ number: UInt32, _ metadata: MetricMetadata?) {
    guard let metadata else { return }
    let known = series[Int(number)].metadata
    if known > 0, metadataTable[known] == metadata { return }
    metadataTable.release(known)
    series[Int(number)].metadata = metadataTable.intern(metadata)
    // The segment that is being written is told with the next sample.
    if series[Int(number)].logNumber > 0 { redescribed.append(number) }
  }

  /// Series that the segment knows with other metadata.
  var redescribed: [UInt32] = []

  // MARK: Starts

  /// Since when the series counts, milliseconds since the epoch; nil when that is not known.
  func start(of number: UInt32) -> Int64? { starts.isEmpty ? nil : starts[number] }

  mutating func setStart(_ start: Int64, of number: UInt32) {
    guard starts.updateValue(start, forKey: number) != start else { return }
    // A series that the segment does not know yet is defined with its start.
    if series[Int(number)].logNumber > 0 { restarted.append(number) }
  }

  /// Series whose start the segment does not know yet.
  var restarted: [UInt32] = []

  // MARK: Numbers in the log

  /// 1 + the number of the series in the segment that is being written; 0 when it is not in it.
  @inline(__always)
  func logNumber(of number: UInt32) -> UInt32 { series[Int(number)].logNumber }
  mutating func setLogNumber(_ value: UInt32, of number: UInt32) { series[Int(number)].logNumber = value }
  func logNumber(ofPair pair: UInt32) -> UInt32 { pairs[Int(pair)].logNumber }
  mutating func setLogNumber(_ value: UInt32, ofPair pair: UInt32) { pairs[Int(pair)].logNumber = value }

  func logNumber(ofMetadataOf number: UInt32) -> UInt32 { metadataTable.logNumber(series[Int(number)].metadata) }
  mutating func setLogNumber(_ value: UInt32, ofMetadataOf number: UInt32) {
    metadataTable.setLogNumber(value, series[Int(number)].metadata)
  }

  /// A new segment begins, which knows nothing.
  mutating func forgetLogNumbers() {
    metadataTable.forgetLogNumbers()
    restarted.removeAll()
    for index in series.indices { series[index].logNumber = 0 }
    for index in pairs.indices { pairs[index].logNumber = 0 }
    redescribed.removeAll()
  }

  /// The pairs of the series.
  func pairNumbers(of number: UInt32) -> ArraySlice<UInt32> { lists.elements[range(of: series[Int(number)])] }

  /// Appends the encoded field of a pair.
  func appendPair(_ pair: UInt32, to output: inout ByteWriter) {
    pairBytes.elements.withUnsafeBytes {
      output.append(UnsafeRawBufferPointer(rebasing: $0[range(of: pairs[Int(pair)])]))
    }
  }

  /// The name and the value of a pair.
  func withPair<R>(_ pair: UInt32, _ body: (RawSpan, RawSpan) -> R) -> R {
    pairBytes.elements.withUnsafeBytes { all in
      let pair = LabelPair(UnsafeRawBufferPointer(rebasing: all[range(of: pairs[Int(pair)])]))
      return body(pair.name, pair.value)
    }
  }

  /// The highest number of a pair that was ever given, and 1.
  var pairNumbersEnd: Int { pairs.count }

  /// The highest number of a series that was ever given, and 1.
  var numbers: Int { series.count }

  private mutating func releasePair(_ number: UInt32) {
    pairs[Int(number)].references -= 1
    guard pairs[Int(number)].references == 0 else { return }
    pairIndex.remove(number, of: pairs)
    groups.removed(pair: number)
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

  /// The series' labels, decoded.
  func labels(of number: UInt32) -> LabelSet {
    var labels = LabelSet()
    for pair in pairNumbers(of: number) { withPair(pair) { labels.append($0, $1) } }
    return labels
  }

  /// What the series is known by in every process.
  func fingerprint(of number: UInt32) -> SeriesFingerprint {
    var fingerprint = SeriesFingerprint()
    for pair in pairNumbers(of: number) { fingerprint.combine(hash(ofPair: pair)) }
    return fingerprint
  }

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

/// A label pair in an encoded field `labels`, which the table has encoded.
struct LabelPair: ~Escapable {
  let name: RawSpan
  let value: RawSpan

  @_lifetime(borrow field)
  init(_ field: UnsafeRawBufferPointer) {
    let bytes = RawSpan(_unsafeBytes: field)
    var scanner = ByteScanner(bytes)
    scanner.position = 1
    _ = scanner.varint()
    scanner.position += 1
    let nameLength = Int(scanner.varint() ?? 0)
    let nameStart = scanner.position
    scanner.position += nameLength + 1
    let valueLength = Int(scanner.varint() ?? 0)
    let name = bytes.extracting(nameStart..<nameStart + nameLength)
    let value = bytes.extracting(scanner.position..<scanner.position + valueLength)
    self.name = _overrideLifetime(name, borrowing: field)
    self.value = _overrideLifetime(value, borrowing: field)
  }
}
