// Numbers as YAML 1.1 writes them (https://yaml.org/type/int.html, https://yaml.org/type/float.html), without those of
// base 60, which Prometheus' YAML library does not know either.

extension FixedWidthInteger {
  /// `12`, `-1`, `1_000`, `0x1F`, `0o17`, `017`, `0b11`, and `1e6` where that is a whole number. Nil for anything else.
  init?(yaml text: String) {
    let plain = text.filter { $0 != "_" }
    var digits = plain[...]
    let isNegative = digits.first == "-"
    if isNegative || digits.first == "+" { digits.removeFirst() }
    // A second sign is none.
    guard let first = digits.first, first != "-", first != "+", !text.hasPrefix("_") else { return nil }
    let sign = isNegative ? "-" : ""
    let prefixes: [(text: String, radix: Int)] = [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2), ("0", 8)]
    for (prefix, radix) in prefixes where digits.hasPrefix(prefix) && digits.count > prefix.count {
      if let value = Self(sign + digits.dropFirst(prefix.count), radix: radix) {
        self = value
        return
      }
    }
    guard let value = Self(sign + digits) ?? Double(yaml: plain).flatMap({ Self(exactly: $0) }) else { return nil }
    self = value
  }
}

extension Double {
  /// A decimal number, `.inf` or `.nan`. Nil for anything else.
  init?(yaml text: String) {
    switch text.lowercased() {
    case ".inf", "+.inf": self = .infinity
    case "-.inf": self = -.infinity
    case ".nan": self = .nan
    default:
      // Swift would take "inf" and hexadecimal numbers too.
      let isDecimal = text.utf8.allSatisfy { $0 &- 0x30 < 10 || "+-.eE_".utf8.contains($0) }
      guard isDecimal, let value = Double(text.filter { $0 != "_" }) else { return nil }
      self = value
    }
  }
}
