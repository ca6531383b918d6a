import Bytes

/// As what a histogram is read that has native buckets, and maybe classic ones.
public enum HistogramChoice: Sendable {
  case native, classic, both
}

/// Reads messages `io.prometheus.client.MetricFamily`, each behind its length, with the verdicts of Prometheus 3's own
/// parser (https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto).
///
/// A classic histogram or summary is shown as the series that its text would have: `_count`, `_sum`, then the buckets
/// or quantiles. A native histogram is one sample. Each series is rendered as the text format writes it, so a target
/// may change between the formats and its series are known again.
public struct ProtobufParser: ExpositionParser, ~Copyable, ~Escapable {
  /// What a sample is of its metric.
  enum Part {
    case whole, count, sum, native
    /// A bucket or a quantile: where its message stands.
    case step(Range<Int>)
    /// The bucket of all, where the target left it out.
    case infinity
  }

  let bytes: RawSpan
  /// Where the next family begins.
  private var position = 0

  // Of the family.
  private(set) var name = 0..<0
  private(set) var help = 0..<0
  private(set) var unit = 0..<0
  public private(set) var type = MetricType.untyped
  /// Whether the name is written without quotes.
  private var isPlain = true
  /// What is left of the family's message.
  private var family = 0..<0

  // Of the metric.
  private var labels = ByteWriter(capacity: 256)
  /// The message that holds the metric's value, what is left of it where it is shown in parts, and its numbers.
  private(set) var content = 0..<0
  private var rest = 0..<0
  private var scalars = HistogramScalars()
  private(set) var part: Part?
  private var hasInfinity = false
  public private(set) var timestamp: Int64?

  // Of the sample.
  var series = ByteWriter(capacity: 512)
  public private(set) var value = 0.0
  private(set) var exemplars: [Range<Int>] = []
  private(set) var native: [UInt8] = []

  /// Since when the series counts: milliseconds since the epoch, if the target says so.
  public private(set) var start: Int64?
  let histograms: HistogramChoice
  /// Whether the metric is a histogram with native buckets.
  var isNative: Bool { type.contentField == 7 && scalars.isNative }

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, histograms: HistogramChoice = .native) {
    self.bytes = bytes
    self.histograms = histograms
  }

  @_lifetime(self: copy self)
  public mutating func rewind() {
    position = 0
    family = 0..<0
    part = nil
  }

  @_lifetime(self: copy self)
  public mutating func next() throws(ExpositionError) -> ExpositionEntry? {
    if let part, try nextPart(after: part) { return .sample }
    part = nil
    if try nextMetric() { return .sample }
    guard try nextFamily() else { return nil }
    return .type
  }

  // MARK: Families

  /// Moves to the next family that has a metric, and reads all of it but its metrics.
  @_lifetime(self: copy self)
  private mutating func nextFamily() throws(ExpositionError) -> Bool {
    while position < bytes.byteCount {
      var outer = ProtobufFields(bytes, position..<bytes.byteCount)
      let length = try outer.varint()
      guard length <= UInt64(bytes.byteCount - outer.position) else { throw ProtobufFields.truncated }
      family = outer.position..<outer.position + Int(truncatingIfNeeded: length)
      position = family.upperBound
      (name, help, unit) = (0..<0, 0..<0, 0..<0)
      var typeNumber: UInt64 = 0
      var hasMetric = false
      var fields = ProtobufFields(bytes, family)
      while try fields.next() {
        switch fields.field {
        case 1: name = try fields.message()
        case 2: help = try fields.message()
        case 3: typeNumber = try fields.integer()
        case 4: hasMetric = true
        case 5: unit = try fields.message()
        default: break
        }
      }
      guard hasMetric else { continue }
      try checkFamily(typeNumber)
      return true
    }
    return false
  }

  @_lifetime(self: copy self)
  private mutating func checkFamily(_ typeNumber: UInt64) throws(ExpositionError) {
    let (name, help, unit) = (bytes.extracting(name), bytes.extracting(help), bytes.extracting(unit))
    guard name.byteCount > 0, name.isUTF8, name.firstIndex(of: 0) == nil else {
      throw ExpositionError("invalid metric name: \(ExpositionError.quote(name))")
    }
    guard help.isUTF8 else {
      throw ExpositionError(
        "invalid help for metric \(ExpositionError.quote(name)): \(ExpositionError.quote(help))")
    }
    guard let type = MetricType(protobuf: typeNumber) else {
      throw ExpositionError("unknown metric type for metric \(ExpositionError.quote(name)): \(typeNumber)")
    }
    self.type = type
    isPlain = name.isPlainName(isLabel: false)
    guard unit.byteCount > 0 else { return }
    let isTotal = type == .counter && name.ends(with: "_total")
    guard name.extracting(0..<name.byteCount - (isTotal ? 6 : 0)).hasUnit(unit) else {
      let (text, metric) = (ExpositionError.quote(unit), ExpositionError.quote(name))
      throw ExpositionError("unit \(text) not a suffix of \(isTotal ? "counter" : "metric") \(metric)")
    }
  }

  // MARK: Metrics

  /// Moves to the next metric of the family and to the first sample of it.
  @_lifetime(self: copy self)
  private mutating func nextMetric() throws(ExpositionError) -> Bool {
    var fields = ProtobufFields(bytes, family)
    while try fields.next() {
      guard fields.field == 4 else { continue }
      let metric = try fields.message()
      family = metric.upperBound..<family.upperBound
      try readMetric(metric)
      return true
    }
    return false
  }

  @_lifetime(self: copy self)
  private mutating func readMetric(_ metric: Range<Int>) throws(ExpositionError) {
    labels.removeAll()
    timestamp = nil
    start = nil
    content = 0..<0
    var fields = ProtobufFields(bytes, metric)
    while try fields.next() {
      switch fields.field {
      case 1: try readLabel(try fields.message())
      case 6:
        // Without a timestamp there is none, or 0: Prometheus takes both for none.
        let time = Int64(bitPattern: try fields.integer())
        timestamp = time == 0 ? nil : time
      case type.contentField: content = try fields.message()
      default: break
      }
    }
    rest = content
    hasInfinity = false
    switch type {
    case .histogram, .gaugeHistogram:
      scalars = try HistogramScalars(bytes, content)
      start = try bytes.time(scalars.created)
      try show(isNative && histograms != .classic ? .native : .count)
    case .summary:
      scalars = try HistogramScalars(summary: bytes, content)
      start = try bytes.time(scalars.created)
      try show(.count)
    default: try show(.whole)
    }
  }

  /// Renders a label as it stands between the braces.
  @_lifetime(self: copy self)
  private mutating func readLabel(_ label: Range<Int>) throws(ExpositionError) {
    var (name, value) = (0..<0, 0..<0)
    var fields = ProtobufFields(bytes, label)
    while try fields.next() {
      switch fields.field {
      case 1: name = try fields.message()
      case 2: value = try fields.message()
      default: break
      }
    }
    let (nameBytes, valueBytes) = (bytes.extracting(name), bytes.extracting(value))
    guard nameBytes.isUTF8, nameBytes.firstIndex(of: 0) == nil else {
      throw ExpositionError("invalid label name: \(ExpositionError.quote(nameBytes))")
    }
    guard valueBytes.isUTF8 else {
      throw ExpositionError("invalid UTF-8 label value: \(ExpositionError.quote(valueBytes))")
    }
    if labels.count > 0 { labels.append(UInt8(ascii: ",")) }
    if nameBytes.isPlainName(isLabel: true) {
      labels.append(nameBytes)
      labels.append("=\"")
    } else {
      labels.append(UInt8(ascii: "\""))
      labels.append(labelValue: nameBytes)
      labels.append("\"=\"")
    }
    labels.append(labelValue: valueBytes)
    labels.append(UInt8(ascii: "\""))
  }

  // MARK: Samples

  /// Moves to what comes behind a part of a histogram or a summary; false when there is nothing more.
  @_lifetime(self: copy self)
  private mutating func nextPart(after part: Part) throws(ExpositionError) -> Bool {
    switch part {
    case .whole, .infinity: return false
    case .native:
      guard histograms == .both, scalars.hasBuckets else { return false }
      try show(.count)
      return true
    case .count:
      try show(.sum)
      return true
    case .sum, .step: break
    }
    var fields = ProtobufFields(bytes, rest)
    while !hasInfinity, try fields.next() {
      guard fields.field == 3 else { continue }
      let step = try fields.message()
      rest = step.upperBound..<rest.upperBound
      try show(.step(step))
      return true
    }
    if type == .summary || hasInfinity { return false }
    try show(.infinity)
    return true
  }

  /// Renders the series of a sample and reads its value.
  @_lifetime(self: copy self)
  private mutating func show(_ part: Part) throws(ExpositionError) {
    self.part = part
    exemplars.removeAll(keepingCapacity: true)
    let isSummary = type == .summary
    switch part {
    case .whole:
      let (number, exemplar, created) = try wholeValue()
      value = number
      start = try bytes.time(created)
      if let exemplar { exemplars.append(exemplar) }
      render("")
    case .count:
      value = scalars.total
      render("_count")
    case .sum:
      value = scalars.sum
      render("_sum")
    case .native:
      value = 0
      native = try NativeHistogram.encode(bytes, content, scalars, isGauge: type == .gaugeHistogram)
      exemplars = try NativeHistogram.exemplars(bytes, content)
      render("")
    case .infinity:
      value = scalars.total
      render("_bucket", bound: .infinity)
    case .step(let range):
      let step = try HistogramStep(bytes, range, isQuantile: isSummary)
      value = step.value
      if let exemplar = step.exemplar { exemplars.append(exemplar) }
      hasInfinity = !isSummary && step.bound == .infinity
      render(isSummary ? "" : "_bucket", bound: step.bound)
    }
    // Never a staleness marker.
    if value.isNaN { value = Double(bitPattern: 0x7ff8_0000_0000_0001) }
  }

  /// The value of a counter, a gauge or an untyped metric, and a counter's exemplar and start.
  private func wholeValue() throws(ExpositionError) -> (Double, exemplar: Range<Int>?, created: Range<Int>?) {
    var value = 0.0
    var exemplar: Range<Int>?
    var created: Range<Int>?
    var fields = ProtobufFields(bytes, content)
    while try fields.next() {
      if fields.field == 1 { value = try fields.double() }
      if fields.field == 2, type == .counter { exemplar = try fields.message() }
      if fields.field == 3, type == .counter { created = try fields.message() }
    }
    return (value, exemplar, created)
  }

  @_lifetime(self: copy self)
  private mutating func render(_ suffix: StaticString, bound: Double? = nil) {
    series.removeAll()
    if !isPlain { series.append("{\"") }
    if isPlain { series.append(bytes.extracting(name)) } else { series.append(labelValue: bytes.extracting(name)) }
    series.append(suffix)
    if !isPlain { series.append(UInt8(ascii: "\"")) }
    if isPlain, labels.count == 0, bound == nil { return }
    if isPlain { series.append(UInt8(ascii: "{")) }
    if labels.count > 0 {
      if !isPlain { series.append(UInt8(ascii: ",")) }
      series.append(labels)
    }
    if let bound {
      if !isPlain || labels.count > 0 { series.append(UInt8(ascii: ",")) }
      series.append(type == .summary ? "quantile=\"" : "le=\"")
      series.append(openMetricsFloat: bound)
      series.append(UInt8(ascii: "\""))
    }
    series.append(UInt8(ascii: "}"))
  }
}

extension MetricType {
  /// By its number in the enumeration MetricType.
  fileprivate init?(protobuf number: UInt64) {
    switch number {
    case 0: self = .counter
    case 1: self = .gauge
    case 2: self = .summary
    case 3: self = .untyped
    case 4: self = .histogram
    case 5: self = .gaugeHistogram
    default: return nil
    }
  }

  /// The field of the message Metric that holds the value.
  var contentField: Int {
    switch self {
    case .gauge: 2
    case .counter: 3
    case .summary: 4
    case .untyped, .info, .stateset: 5
    case .histogram, .gaugeHistogram: 7
    }
  }
}

extension RawSpan {
  /// Whether the text format writes the name without quotes.
  fileprivate func isPlainName(isLabel: Bool) -> Bool {
    guard byteCount > 0, !self[0].isDigit else { return false }
    for offset in 0..<byteCount {
      guard isLabel ? self[offset].isLabelStart || self[offset].isDigit : self[offset].isNamePart else { return false }
    }
    return true
  }
}
