import Bytes
import Exposition
import Synchronization

/// What a target says of one of its families, in its HELP and TYPE lines.
public struct FamilyMetadata: Sendable, Equatable {
  public var family: String
  /// `counter`, `gauge`, …; `unknown` when the target does not say, or says `untyped`.
  public var type = "unknown"
  public var help = ""
}

/// Reads a target's metadata now and then: it hardly ever changes, and nothing that is sent depends on it.
struct TargetMetadata {
  /// Every so many good scrapes; the first is one of them.
  private static let period = 16
  /// Families of one target; what is beyond is left out.
  private static let limit = 10_000

  /// By the order of the text.
  private(set) var families: [FamilyMetadata] = []
  private var scrapes = 0

  /// - Parameter text: an exposition that was read without fault.
  mutating func update(_ text: RawSpan, sharing lists: MetadataLists) {
    defer { scrapes = (scrapes + 1) % Self.period }
    if scrapes == 0 { families = lists.share(Self.read(text)) }
  }

  private static func read(_ text: RawSpan) -> [FamilyMetadata] {
    var families: [FamilyMetadata] = []
    var places: [String: Int] = [:]
    var parser = TextParser(text)
    // The text was parsed before: there are no faults to report.
    while let entry = try? parser.next() {
      if entry == .sample {
        guard (try? parser.readSeries()) != nil, (try? parser.readValue()) != nil else { break }
        continue
      }
      let name = unescaped(text.extracting(parser.name))
      if places[name] == nil {
        guard families.count < limit else { continue }
        places[name] = families.count
        families.append(FamilyMetadata(family: name))
      }
      guard let place = places[name] else { continue }
      if entry == .type {
        families[place].type = parser.type == .untyped ? "unknown" : parser.type.rawValue
      } else {
        families[place].help = unescaped(text.extracting(parser.text))
      }
    }
    return families
  }

  private static func unescaped(_ text: RawSpan) -> String {
    guard text.firstIndex(of: UInt8(ascii: "\\")) != nil else { return String(utf8: text) }
    var plain: [UInt8] = []
    var scanner = ByteScanner(text)
    while let byte = scanner.next {
      scanner.position += 1
      guard byte == UInt8(ascii: "\\"), let escaped = scanner.next else {
        plain.append(byte)
        continue
      }
      switch escaped {
      case UInt8(ascii: "n"): plain.append(.newline)
      case UInt8(ascii: "\\"): plain.append(escaped)
      default: plain += [byte, escaped]
      }
      scanner.position += 1
    }
    return String(decoding: plain, as: UTF8.self)
  }
}

/// Lists of metadata that targets share: those of one job are mostly equal.
final class MetadataLists: Sendable {
  /// Different lists that are remembered.
  private static let limit = 1000

  private let lists = Mutex<[[FamilyMetadata]]>([])

  /// A list that equals this one, with the memory of the first of its kind.
  func share(_ list: [FamilyMetadata]) -> [FamilyMetadata] {
    lists.withLock { lists in
      if let known = lists.first(where: { $0 == list }) { return known }
      if lists.count >= Self.limit { lists.removeAll() }
      lists.append(list)
      return list
    }
  }
}
