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

  /// A whole number, with or without a sign, or hexadecimal digits behind "0x".
  static let decimal = NumberFormat { text in wholeNumber(text) }
  /// The same without a sign.
  static let unsigned = NumberFormat { text in unsignedNumber(text).map { Double($0) } }
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

  /// A whole number of which `divisor` make one.
  static func over(_ divisor: Double) -> NumberFormat {
    NumberFormat { text in wholeNumber(text).map { $0 / divisor } }
  }

  /// Decimal digits, or hexadecimal ones behind "0x".
  static func unsignedNumber(_ text: RawSpan) -> UInt64? {
    text.starts(with: "0x") ? UInt64(hex: text) : UInt64(decimal: text)
  }

  private static func wholeNumber(_ text: RawSpan) -> Double? {
    if let value = unsignedNumber(text) { return Double(value) }
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

/// A sample of the value 1 that shows texts of a device's folder as its labels.
struct DeviceInfo {
  let family: MetricFamily
  /// The labels' files, in the family's order; nil is the device's name.
  private let files: [String?]
  private let isShownWithoutText: Bool

  /// - Parameters:
  ///   - device: the label of the device's name.
  ///   - files: below the device's folder, by label.
  ///   - isShownWithoutText: whether a device is shown of which none of the files is there.
  init(
    _ name: String, _ help: String, device: String, _ files: KeyValuePairs<String, String>,
    isShownWithoutText: Bool = false
  ) {
    let labels = ([(device, nil)] + files.map { ($0.key, $0.value) }).sorted { $0.0 < $1.0 }
    family = .gauge(name, help, labels.map(\.0))
    self.files = labels.map(\.1)
    self.isShownWithoutText = isShownWithoutText
  }

  /// Writes the sample; a file that is not there is an empty label.
  ///
  /// - Parameter prefix: the bytes that a file's text begins with and that are not shown.
  func write(
    _ name: String, _ folder: String, _ reader: AttributeReader, into writer: MetricWriter,
    prefix: (_ file: String) -> Int = { _ in 0 }
  ) {
    let count = writer.count
    var hasText = isShownWithoutText
    writer.begin(family)
    for file in files {
      guard let file else {
        writer.label(name)
        continue
      }
      let prefix = prefix(file)
      let isThere: Void? = reader.value(folder, file) { text in
        writer.label(text.extracting((text.byteCount > prefix ? prefix : 0)..<text.byteCount))
      }
      if isThere == nil { writer.label("") } else { hasText = true }
    }
    writer.end(1.0)
    if !hasText { writer.truncate(to: count) }
  }
}
