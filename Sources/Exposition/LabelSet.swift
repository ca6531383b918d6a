import Bytes

/// Label names and values of one series, as UTF-8 bytes in one piece of memory that is reused.
///
/// Names and values are compared and ordered as bytes: Swift's `String` takes canonically equivalent texts for
/// equal, Prometheus does not. A label without a value is the same as no label.
public struct LabelSet: Sendable {
  /// Where one label stands in `storage`.
  private struct Entry: Sendable {
    var name: Range<Int>
    var value: Range<Int>
  }

  private var storage: [UInt8] = []
  private var entries: [Entry] = []

  public init() {}

  /// Labels from texts, ordered by name.
  public init(_ labels: some Sequence<(name: String, value: String)>) {
    for label in labels { append(label.name.utf8.span.bytes, label.value.utf8.span.bytes) }
    sort()
  }

  public var count: Int { entries.count }
  public var isEmpty: Bool { entries.isEmpty }

  /// The name of the label at `index`, counted from 0.
  @_lifetime(borrow self)
  public func name(at index: Int) -> RawSpan { storage.span.bytes.extracting(entries[index].name) }

  /// The value of the label at `index`, counted from 0.
  @_lifetime(borrow self)
  public func value(at index: Int) -> RawSpan { storage.span.bytes.extracting(entries[index].value) }

  /// The index of the label `name`; nil when there is none.
  public func index(of name: RawSpan) -> Int? {
    for index in entries.indices where self.name(at: index).equals(name) { return index }
    return nil
  }

  public func index(of name: StaticString) -> Int? {
    for index in entries.indices where self.name(at: index).equals(name) { return index }
    return nil
  }

  /// Forgets all labels, keeps the memory.
  public mutating func removeAll() {
    storage.removeAll(keepingCapacity: true)
    entries.removeAll(keepingCapacity: true)
  }

  public mutating func remove(at index: Int) { entries.remove(at: index) }

  /// Adds a label behind the others. The caller sees to it that no label has the name twice.
  public mutating func append(_ name: RawSpan, _ value: RawSpan) {
    let nameRange = store(name)
    entries.append(Entry(name: nameRange, value: store(value)))
  }

  /// Gives the label `name` a value, whether or not it was there.
  public mutating func set(_ name: RawSpan, to value: RawSpan) {
    if let index = index(of: name) {
      entries[index].value = store(value)
    } else {
      append(name, value)
    }
  }

  /// Gives the label at `index` another name.
  public mutating func rename(at index: Int, to name: RawSpan) { entries[index].name = store(name) }

  /// Removes labels without a value.
  public mutating func removeEmpty() { entries.removeAll { $0.value.isEmpty } }

  /// Orders the labels by the bytes of their names, as remote write and hashing want them.
  public mutating func sort() {
    // Few and nearly ordered: insertion, which needs no memory.
    for index in entries.indices.dropFirst() {
      var place = index
      while place > 0, name(at: place).compare(name(at: place - 1)) < 0 {
        entries.swapAt(place, place - 1)
        place -= 1
      }
    }
  }

  private mutating func store(_ bytes: RawSpan) -> Range<Int> {
    let start = storage.count
    bytes.withUnsafeBytes { storage.append(contentsOf: $0) }
    return start..<storage.count
  }
}

extension LabelSet: Hashable, CustomStringConvertible {
  public static func == (left: LabelSet, right: LabelSet) -> Bool {
    guard left.count == right.count else { return false }
    for index in left.entries.indices {
      guard left.name(at: index).equals(right.name(at: index)), left.value(at: index).equals(right.value(at: index))
      else { return false }
    }
    return true
  }

  public func hash(into hasher: inout Hasher) {
    for index in entries.indices {
      name(at: index).withUnsafeBytes { hasher.combine(bytes: $0) }
      hasher.combine(UInt8(0xff))
      value(at: index).withUnsafeBytes { hasher.combine(bytes: $0) }
      hasher.combine(UInt8(0xff))
    }
  }

  /// As PromQL shows a series: `{a="b", c="d"}`.
  public var description: String {
    let labels = entries.indices.map { index in
      var value = ByteWriter(capacity: 64)
      value.append(labelValue: self.value(at: index))
      return "\(String(utf8: name(at: index)))=\"\(String(utf8: value.bytes))\""
    }
    return "{\(labels.joined(separator: ", "))}"
  }
}
