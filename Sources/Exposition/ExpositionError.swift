import Bytes

/// Why an exposition is refused, in the words of Prometheus: what was expected, what was found, and where.
public struct ExpositionError: Error, Equatable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  /// Longer excerpts of the text are cut at so many bytes.
  private static let excerptLimit = 256

  /// The bytes in double quotes as Go's %q writes them: quotes, backslashes, controls and ill-formed UTF-8 escaped.
  public static func quote(_ bytes: RawSpan) -> String {
    let excerpt = bytes.extracting(first: excerptLimit)
    var text = "\""
    for scalar in String(utf8: excerpt).unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7f:
        text += "\\x" + (scalar.value < 0x10 ? "0" : "") + String(scalar.value, radix: 16)
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + (excerpt.byteCount < bytes.byteCount ? "…\"" : "\"")
  }
}
