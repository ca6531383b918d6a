// Prometheus' durations (https://prometheus.io/docs/prometheus/latest/configuration/configuration/, <duration>).

extension Duration {
  private static let units: [(name: String, milliseconds: Int64)] = [
    ("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000),
    ("ms", 1),
  ]

  /// `1h30m`, `15s`, `0`: whole numbers with units in falling order, each at most once. Nil for anything else.
  package init?(prometheus text: String) {
    if text == "0" {
      self = .zero
      return
    }
    var rest = text[...]
    var total: Int64 = 0
    var unitsLeft = Self.units[...]
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      let unit = rest[digits.endIndex...].prefix { !($0.isASCII && $0.isNumber) }
      guard let number = Int64(digits), let place = unitsLeft.firstIndex(where: { $0.name == unit }) else { return nil }
      let (product, tooBig) = number.multipliedReportingOverflow(by: Self.units[place].milliseconds)
      let (sum, carried) = total.addingReportingOverflow(product)
      // As much as Go's time.Duration holds: about 292 years.
      guard !tooBig, !carried, sum <= 9_223_372_036_854 else { return nil }
      total = sum
      unitsLeft = unitsLeft[(place + 1)...]
      rest = rest[unit.endIndex...]
    }
    guard !text.isEmpty else { return nil }
    self = .milliseconds(total)
  }

  /// As Prometheus writes it: `1m`, `1h30m`, `500ms`.
  public var prometheusText: String {
    var milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    if milliseconds == 0 { return "0s" }
    var text = ""
    for unit in Self.units {
      let isExactOnly = ["y", "w", "d"].contains(unit.name)
      if isExactOnly, milliseconds % unit.milliseconds != 0 { continue }
      let count = milliseconds / unit.milliseconds
      if count > 0 { text += "\(count)\(unit.name)" }
      milliseconds %= unit.milliseconds
    }
    return text
  }
}
