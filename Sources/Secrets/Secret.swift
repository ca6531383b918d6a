import YAML

/// A text that nobody may see: a password, a token, a private key. Whatever prints it prints `<secret>`.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The text itself, for the one who sends it.
  public let value: String

  public init(_ value: String) { self.value = value }

  public var description: String { "<secret>" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }

  public static func == (a: Secret, b: Secret) -> Bool { a.value.utf8.elementsEqual(b.value.utf8) }

  public func hash(into hasher: inout Hasher) {
    for byte in value.utf8 { hasher.combine(byte) }
  }
}

/// Where a secret, or a certificate, comes from.
public enum SecretSource: Sendable, Hashable {
  /// The configuration itself.
  case text(Secret)
  /// A file that has it, which may change.
  case file(String)

  /// Nil when it is no file.
  public var path: String? {
    guard case .file(let path) = self else { return nil }
    return path
  }

  /// Longer files hold no secret.
  private static let fileLimit = 16 << 20

  /// - Throws: when the file cannot be read.
  package func read() throws(FileFault) -> [UInt8] {
    switch self {
    case .text(let secret): Array(secret.value.utf8)
    case .file(let path): try WholeFile.readRegular(path, limit: SecretSource.fileLimit)
    }
  }

  /// The text without the blanks and line ends around it, with which files end.
  ///
  /// - Throws: when the file cannot be read.
  package func trimmedText() throws(FileFault) -> String {
    guard case .file = self else { return String(decoding: try read(), as: UTF8.self) }
    let bytes = try read()
    let isBlank = { (byte: UInt8) in byte == 0x20 || 0x09...0x0d ~= byte }
    let start = bytes.firstIndex { !isBlank($0) } ?? bytes.endIndex
    let end = bytes.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? start
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  /// How an error names it; never by its content.
  ///
  /// - Parameter key: the name of the key, without `_file`.
  package func name(_ key: String) -> String {
    switch self {
    case .text: key
    case .file(let path): "\(key)_file (\(path))"
    }
  }
}
