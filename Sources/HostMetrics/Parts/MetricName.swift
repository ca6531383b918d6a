import Bytes

extension Collection<UInt8> {
  /// Fit to be a part of a metric's name: what matches `_*[^0-9A-Za-z_]+_*` becomes one underscore, as in node_exporter.
  var asMetricName: String {
    var name: [UInt8] = []
    var rest = self[...]
    while let byte = rest.first {
      let underscores = rest.prefix { $0 == UInt8(ascii: "_") }
      let others = rest[underscores.endIndex...].prefix { !$0.isPartOfName }
      if !others.isEmpty {
        name.append(UInt8(ascii: "_"))
        rest = rest[others.endIndex...].drop { $0 == UInt8(ascii: "_") }
      } else if underscores.isEmpty {
        name.append(byte)
        rest = rest.dropFirst()
      } else {
        name += underscores
        rest = rest[underscores.endIndex...]
      }
    }
    return String(decoding: name, as: UTF8.self)
  }
}

extension UInt8 {
  /// Whether this is an ASCII letter or digit or an underscore.
  var isPartOfName: Bool { isLetter || isDigit || self == UInt8(ascii: "_") }
}
