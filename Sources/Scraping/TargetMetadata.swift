import Bytes
import Exposition
import Synchronization

/// What a target says of one of its families, in its HELP, TYPE and UNIT lines.
public struct FamilyMetadata: Sendable, Equatable {
  public var metadata: MetricMetadata

  public var family: String { metadata.family }
  /// `counter`, `gauge`, …; `unknown` when the target does not say, or says `untyped`.
  public var type: String { metadata.type == .untyped ? "unknown" : metadata.type.rawValue }
  public var help: String { metadata.help }
  public var unit: String { metadata.unit }
}

/// What a target says of its families, read anew only when it says something else.
struct TargetMetadata {
  /// Families of one target; what is beyond is left out.
  private static let limit = 10_000

  /// By the order of the exposition.
  private(set) var families: [FamilyMetadata] = []
  /// Bytes of what they say.
  var byteCount: Int {
    families.reduce(0) { $0 + $1.help.utf8.count + $1.unit.utf8.count + $1.type.utf8.count }
  }
  /// The fingerprint of all that was said.
  private(set) var hash = SeriesHash.none
  /// Where a family stands in `families`; empty when nobody has asked since it was forgotten.
  private var places: [String: Int] = [:]

  /// Reads what the exposition says, as far as it is in order; gives the names of families of which it says something
  /// else than before.
  mutating func read<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ parser: inout Parser, _ hasher: SeriesHasher
  ) -> Set<String> {
    let before = families
    begin()
    do throws(ExpositionError) {
      while let entry = try parser.next() {
        if entry == .sample {
          try parser.readSeries()
          try parser.readValue()
        } else {
          hash = parser.metadataHash(hasher, after: hash)
          take(parser)
        }
      }
    } catch {
      // Whoever reads the samples finds the same fault and reports it.
    }
    return changes(since: before)
  }

  /// Forgets all, to `take` what is said now.
  mutating func begin() {
    families = []
    places = [:]
    hash = .none
  }

  /// All is taken.
  ///
  /// - Parameter hash: the fingerprint of it.
  mutating func end(_ hash: SeriesHash) { self.hash = hash }

  /// Takes over the entry about a family that the parser has read.
  mutating func take<Parser: ExpositionParser & ~Copyable & ~Escapable>(_ parser: borrowing Parser) {
    let name = parser.familyName
    if places[name] == nil {
      guard families.count < Self.limit else { return }
      places[name] = families.count
      families.append(FamilyMetadata(metadata: MetricMetadata(family: name)))
    }
    if let place = places[name] { parser.describe(&families[place].metadata) }
  }

  private func changes(since before: [FamilyMetadata]) -> Set<String> {
    if families == before { return [] }
    var known: [String: Int] = [:]
    for (place, family) in before.enumerated() { known[family.family] = place }
    var changed: Set<String> = []
    for family in families where known[family.family].map({ before[$0] == family }) != true {
      changed.insert(family.family)
    }
    return changed
  }

  /// The memory of the first list that equals this one.
  mutating func share(_ lists: MetadataLists) { families = lists.share(families) }

  /// What is said of the family of a series.
  mutating func ofSeries(named name: String) -> MetricMetadata? {
    if places.isEmpty { for (place, family) in families.enumerated() { places[family.family] = place } }
    if let place = places[name] { return families[place].metadata }
    for (suffix, types) in Self.suffixes where name.utf8.count > suffix.utf8.count && name.hasSuffix(suffix) {
      guard let place = places[String(name.dropLast(suffix.count))] else { continue }
      if types.contains(families[place].metadata.type) { return families[place].metadata }
    }
    return nil
  }

  /// What stands behind the family's name in the names of its series, and of which types the family may be.
  private static let suffixes: [(suffix: String, types: Set<MetricType>)] = [
    ("_total", [.counter]), ("_bucket", [.histogram, .gaugeHistogram]),
    ("_sum", [.histogram, .gaugeHistogram, .summary]), ("_count", [.histogram, .gaugeHistogram, .summary]),
    ("_gsum", [.gaugeHistogram]), ("_gcount", [.gaugeHistogram]), ("_info", [.info]),
    ("_created", [.counter, .histogram, .summary]),
  ]

  /// Frees the memory that `ofSeries` needs.
  mutating func forgetPlaces() { places = [:] }
}

/// Lists of metadata that targets share: those of one job are mostly equal.
final class MetadataLists: Sendable {
  private struct Known {
    var lists: [[FamilyMetadata]] = []
    var families = 0
  }

  /// Lists, and families of all lists, that are remembered at most: a target whose texts change with each scrape must
  /// not fill the memory.
  private static let mostLists = 200
  private static let mostFamilies = 50_000

  private let known = Mutex(Known())

  /// A list that equals this one, with the memory of the first of its kind.
  func share(_ list: [FamilyMetadata]) -> [FamilyMetadata] {
    known.withLock { known in
      if let same = known.lists.first(where: { $0 == list }) { return same }
      if known.lists.count >= Self.mostLists || known.families + list.count > Self.mostFamilies { known = Known() }
      known.lists.append(list)
      known.families += list.count
      return list
    }
  }
}
