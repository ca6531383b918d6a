import Exposition
import RemoteWrite

/// Samples that are written by hand, in the text format of expositions.
public enum PushText {
  /// - Parameters:
  ///   - text: whole lines.
  ///   - time: of samples that bear none; milliseconds since the epoch.
  /// - Throws: at the first line that is not of the format.
  public static func samples(_ text: [UInt8], time: Int64) throws(ExpositionError) -> [WriteRequests.Sample] {
    var samples: [WriteRequests.Sample] = []
    var parser = TextParser(text.span.bytes)
    while let entry = try parser.next() {
      guard entry == .sample else { continue }
      try parser.readSeries()
      try parser.readValue()
      var labels = LabelSet()
      parser.appendLabels(to: &labels)
      samples.append(
        WriteRequests.Sample(labels: labels, timestamp: parser.timestamp ?? time, value: parser.value))
    }
    return samples
  }

  /// One sample, of a command line.
  ///
  /// - Parameters:
  ///   - series: `name{label="x"}`.
  ///   - value: as the format has numbers: `1.5`, `NaN`, `+Inf`.
  public static func sample(
    _ series: String, _ value: String, time: Int64
  ) throws(ExpositionError) -> WriteRequests.Sample {
    let hasBlank = value.utf8.contains { $0 <= 0x20 }
    let samples = try samples(Array("\(series) \(value)\n".utf8), time: time)
    guard !hasBlank, samples.count == 1, let sample = samples.first else {
      throw ExpositionError("expected one series and one value, as 'name{label=\"x\"}' 1.5")
    }
    return sample
  }
}
