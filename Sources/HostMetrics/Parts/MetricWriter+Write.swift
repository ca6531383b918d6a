import Bytes
import Exposition

extension MetricWriter {
  /// A sample with its label values, in the order of the family's labels.
  func write(_ family: MetricFamily, _ labels: [String], _ value: Double) {
    begin(family)
    for label in labels { self.label(label) }
    end(value)
  }

  /// A sample of a family with one label, whose value is in the bytes as the kernel gave them.
  func write(_ family: MetricFamily, _ label: RawSpan, _ value: Double) {
    begin(family)
    self.label(label)
    end(value)
  }
}
