// The files that AWS' tools share (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html):
// ~/.aws/config with [default] and [profile NAME], ~/.aws/credentials with [NAME]; the latter wins key by key.

import YAML

/// The profiles of both files.
struct SharedProfiles {
  /// Keys in lower case.
  typealias Profile = [String: String]

  private static let maximumBytes = 1 << 20

  private(set) var profiles: [String: Profile] = [:]
  /// The paths that were looked at, for errors.
  let paths: [String]
  /// The profile that the environment names.
  let selected: String?

  /// - Throws: when a file is there and cannot be read.
  init(_ environment: AWSEnvironment) throws(CredentialError) {
    let home = environment["HOME"].map { "\($0)/.aws/" }
    let config = environment["AWS_CONFIG_FILE"] ?? home.map { $0 + "config" }
    let credentials = environment["AWS_SHARED_CREDENTIALS_FILE"] ?? home.map { $0 + "credentials" }
    selected = environment["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]
    paths = [config, credentials].compactMap(\.self)
    if let config { try read(config, isConfig: true) }
    if let credentials { try read(credentials, isConfig: false) }
  }

  subscript(name: String) -> Profile? { profiles[name] }

  private mutating func read(_ path: String, isConfig: Bool) throws(CredentialError) {
    do {
      take(String(decoding: try WholeFile.readRegular(path, limit: Self.maximumBytes), as: UTF8.self), isConfig)
    } catch {
      // Most machines have neither.
      guard error.reason != "no such file or directory" else { return }
      throw CredentialError("shared files", "\(error)")
    }
  }

  private mutating func take(_ text: String, _ isConfig: Bool) {
    var name: String?
    for line in text.split(whereSeparator: \.isNewline) {
      // Lines that are indented belong to the key above, whose nested values nothing here needs.
      guard let first = line.first, !"#; \t".contains(first) else { continue }
      if first == "[" {
        name = Self.profileName(line.dropFirst().prefix { $0 != "]" }, isConfig)
        if let name { profiles[name, default: [:]].merge([:]) { old, _ in old } }
      } else if let name, let equals = line.firstIndex(of: "=") {
        let value = line[line.index(after: equals)...]
        profiles[name, default: [:]][line[..<equals].trimmed.lowercased()] = Self.withoutComment(value)
      }
    }
  }

  /// Nil of a section that is no profile, as `[sso-session x]`.
  private static func profileName(_ heading: Substring, _ isConfig: Bool) -> String? {
    let words = heading.split { $0 == " " || $0 == "\t" }.map(String.init)
    if words.count == 1 { return isConfig && words[0] != "default" ? nil : words[0] }
    return words.count == 2 && words[0] == "profile" ? words[1] : nil
  }

  /// A comment in a line of its own begins with "#" or ";", one behind a value with a blank before them.
  private static func withoutComment(_ value: Substring) -> String {
    var previous: Character = "="
    for place in value.indices {
      if "#;".contains(value[place]), " \t".contains(previous) { return value[..<place].trimmed }
      previous = value[place]
    }
    return value.trimmed
  }
}

extension Substring {
  fileprivate var trimmed: String {
    String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }
}
