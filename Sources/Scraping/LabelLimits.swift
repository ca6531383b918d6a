import Bytes
import Configuration
import Exposition

/// What the labels of a series may be, in number, length and characters, in the words of Prometheus.
extension LabelSet {
  /// So many characters of a name or a value stand in a message.
  private static let excerpt = 50

  /// - Throws: for the first limit that the labels exceed.
  func check(_ limits: ScrapeLimits) throws(ScrapeError) {
    let (names, values) = (limits.labelNameLength, limits.labelValueLength)
    guard limits.labels > 0 || names > 0 || values > 0 else { return }
    let metric = index(of: "__name__").map { Self.excerpt(of: value(at: $0)) } ?? ""
    if limits.labels > 0, count > limits.labels {
      throw ScrapeError(
        "label_limit exceeded (metric: \(metric), number of labels: \(count), limit: \(limits.labels))")
    }
    for index in 0..<count {
      let (name, value) = (name(at: index), value(at: index))
      if names > 0, name.byteCount > names {
        throw ScrapeError(
          "label_name_length_limit exceeded (metric: \(metric), label name: \(Self.excerpt(of: name)), "
            + "length: \(name.byteCount), limit: \(names))")
      }
      if values > 0, value.byteCount > values {
        throw ScrapeError(
          "label_value_length_limit exceeded (metric: \(metric), label name: \(Self.excerpt(of: name)), "
            + "value: \(ExpositionError.quote(Self.excerpt(of: value).utf8.span.bytes)), "
            + "length: \(value.byteCount), limit: \(values))")
      }
    }
  }

  private static func excerpt(of bytes: RawSpan) -> String {
    // No character is longer than four bytes.
    let text = String(utf8: bytes.extracting(first: 4 * excerpt))
    return String(String.UnicodeScalarView(text.unicodeScalars.prefix(excerpt)))
  }

  /// Whether all names are of the scheme; that they are UTF-8 is known.
  func isValid(in scheme: NameScheme) -> Bool {
    guard scheme == .legacy else { return true }
    for index in 0..<count {
      guard scheme.isLabelName(name(at: index)) else { return false }
      if name(at: index).equals("__name__"), !scheme.isMetricName(value(at: index)) { return false }
    }
    return true
  }
}
