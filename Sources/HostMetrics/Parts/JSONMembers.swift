import Bytes

/// What node_exporter's fixtures in JSON hold, as Go decodes it: what is not there is zero or empty.
extension JSONValue {
  /// The number of a member; 0 when there is none.
  func number(_ name: String) -> Double {
    if case .number(let value) = self[name] { return value }
    return 0
  }

  /// The text of a member; empty when there is none.
  func text(_ name: String) -> String {
    if case .string(let text) = self[name] { return text }
    return ""
  }
}
