// Prometheus' sizes (https://prometheus.io/docs/prometheus/latest/configuration/configuration/, <size>).

extension Int {
  /// `512MB`, `1.5GiB`, `0`: numbers with units, of which all are powers of two; several add up, as long as they all
  /// end in `iB` or all in `B`. Nil for anything else, and for what is no `Int`.
  package init?(prometheusBytes text: String) {
    if text == "0" {
      self = 0
      return
    }
    guard let size = Self.sum(of: text, suffix: "iB") ?? Self.sum(of: text, suffix: "B"), size < 0x1p63 else {
      return nil
    }
    self = Int(size)
  }

  private static func sum(of text: String, suffix: String) -> Double? {
    var rest = Substring(text)
    var sum = 0.0
    while !rest.isEmpty {
      let digits = rest.prefix { ("0"..."9").contains($0) || $0 == "." }
      let unit = rest[digits.endIndex...].prefix { !("0"..."9").contains($0) && $0 != "." }
      guard let number = Double(digits), let factor = factor(of: unit, suffix) else { return nil }
      sum += number * factor
      rest = rest[unit.endIndex...]
    }
    return text.isEmpty ? nil : sum
  }

  private static func factor(of unit: Substring, _ suffix: String) -> Double? {
    if unit == "B" { return 1 }
    guard let prefix = unit.first, unit.dropFirst() == suffix,
      let power = ["K", "M", "G", "T", "P", "E"].firstIndex(of: String(prefix))
    else { return nil }
    return Double(1 << (10 * (power + 1)))
  }

  /// As Prometheus writes it: `512MiB`, `1GiB512MiB`, `0B`.
  package var prometheusBytes: String {
    if self == 0 { return "0B" }
    var text = ""
    for (power, unit) in ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].enumerated().reversed() {
      let count = (self >> (10 * power)) & (unit == "EiB" ? .max : 1023)
      if count > 0 { text += "\(count)\(unit)" }
    }
    return text
  }
}
