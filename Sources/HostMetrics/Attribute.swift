import Bytes
import Exposition
import Kernel

/// A file of a device's folder that holds one number, and the family that shows it: a line of a collector's table.
struct Attribute {
  /// Below the device's folder.
  let file: String
  let family: MetricFamily
  let format: NumberFormat

  init(_ file: String, _ family: MetricFamily, _ format: NumberFormat = .decimal) {
    self.file = file
    self.family = family
    self.format = format
  }
}

/// How a file's text becomes a sample's value.
struct NumberFormat: Sendable {
  /// The value; nil when the text is none.
  let value: @Sendable (RawSpan) -> Double?

  /// A whole number, with or without a sign.
  static let decimal = NumberFormat { text in wholeNumber(text) }
  /// Hexadecimal digits, with or without "0x".
  static let hex = NumberFormat { text in UInt64(hex: text).map { Double($0) } }
  /// Thousandths.
  static let milli = NumberFormat { text in wholeNumber(text).map { $0 / 1000 } }
  /// Millionths.
  static let micro = NumberFormat { text in wholeNumber(text).map { $0 / 1e6 } }
  /// Thousands.
  static let kilo = NumberFormat { text in wholeNumber(text).map { $0 * 1000 } }

  /// A whole number in units of `factor`.
  static func times(_ factor: Double) -> NumberFormat {
    NumberFormat { text in wholeNumber(text).map { $0 * factor } }
  }

  private static func wholeNumber(_ text: RawSpan) -> Double? {
    if let value = UInt64(decimal: text) { return Double(value) }
    return Int64(decimal: text).map { Double($0) }
  }
}

extension AttributeReader {
  /// Writes a sample for each attribute that has a value in the folder.
  ///
  /// - Parameter labels: the values of the families' labels, in their order; all families of the table have the same.
  func write(_ attributes: [Attribute], of folder: String, labels: [String], into writer: MetricWriter) {
    for attribute in attributes {
      guard let number = value(folder, attribute.file, attribute.format.value) ?? nil else { continue }
      writer.write(attribute.family, labels, number)
    }
  }
}

extension MetricWriter {
  /// A sample with its label values, in the order of the family's labels.
  func write(_ family: MetricFamily, _ labels: [String], _ value: Double) {
    begin(family)
    for label in labels { self.label(label) }
    end(value)
  }
}
