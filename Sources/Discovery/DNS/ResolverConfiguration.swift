// resolv.conf(5): which servers are asked for names, and under which names.

import YAML

struct ResolverConfiguration: Equatable, Sendable {
  static let path = "/etc/resolv.conf"
  private static let sizeLimit = 1 << 20

  /// Addresses, to be asked in turn.
  var servers: [String] = []
  var port: UInt16 = 53
  var search: [String] = []
  /// So many dots make a name one that is first tried as it is.
  var dots = 1
  /// How long a server may take to answer.
  var timeout = Duration.seconds(5)
  /// How often each server is asked that does not answer.
  var attempts = 2

  init() {}

  /// - Throws: when there is no such file.
  static func load(_ path: String = path) throws(FileFault) -> ResolverConfiguration {
    ResolverConfiguration(String(decoding: try WholeFile.readRegular(path, limit: sizeLimit), as: UTF8.self))
  }

  init(_ text: String) {
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
      guard let keyword = words.first, let first = words.dropFirst().first else { continue }
      switch keyword {
      case "nameserver": servers.append(first)
      case "domain": search = [first]
      case "search": search = Array(words.dropFirst())
      case "options": for option in words.dropFirst() { take(option) }
      default: break
      }
    }
  }

  private mutating func take(_ option: String) {
    let parts = option.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, let number = Int(parts[1]) else { return }
    // The bounds are those of the C library.
    switch parts[0] {
    case "ndots": dots = min(max(number, 0), 15)
    case "timeout": timeout = .seconds(min(max(number, 1), 30))
    case "attempts": attempts = min(max(number, 1), 5)
    default: break
    }
  }

  /// The names to be asked for, in turn, each with its last dot.
  func candidates(_ name: String) -> [String] {
    if name.hasSuffix(".") { return [name] }
    let rooted = name + "."
    let searched = search.map { $0 == "." ? rooted : rooted + $0 + ($0.hasSuffix(".") ? "" : ".") }
    let isFirst = name.utf8.count { $0 == UInt8(ascii: ".") } >= dots
    return isFirst ? [rooted] + searched : searched + [rooted]
  }
}
