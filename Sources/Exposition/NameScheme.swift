import Bytes

/// Which names metrics and labels may have: `metric_name_validation_scheme`.
public enum NameScheme: String, Sendable, CaseIterable {
  /// Letters, digits, underscores, and colons in those of metrics.
  case legacy
  /// Any text that is not empty.
  case utf8

  /// Whether a label may be named so.
  public func isLabelName(_ name: RawSpan) -> Bool {
    guard self == .legacy else { return !name.isEmpty && name.isUTF8 }
    guard !name.isEmpty, name[0] &- 0x30 >= 10 else { return false }
    for offset in 0..<name.byteCount where !name[offset].isWord { return false }
    return true
  }

  /// Whether a metric may be named so.
  public func isMetricName(_ name: RawSpan) -> Bool {
    guard self == .legacy else { return !name.isEmpty && name.isUTF8 }
    guard !name.isEmpty, name[0] &- 0x30 >= 10 else { return false }
    for offset in 0..<name.byteCount where !name[offset].isWord && name[offset] != UInt8(ascii: ":") { return false }
    return true
  }
}

extension UInt8 {
  /// A letter, a digit or an underscore of ASCII.
  fileprivate var isWord: Bool { self &- 0x30 < 10 || (self | 0x20) &- 0x61 < 26 || self == UInt8(ascii: "_") }
}

/// How a target is asked to write names that are not legacy ones: `metric_name_escaping_scheme`.
public enum NameEscaping: String, Sendable, CaseIterable {
  /// As they are.
  case allowUTF8 = "allow-utf-8"
  /// What is no letter, digit or underscore as an underscore.
  case underscores
  /// Dots as `_dot_`, underscores doubled.
  case dots
  /// Code points as `_HEX_`, behind the prefix `U__`.
  case values
}
