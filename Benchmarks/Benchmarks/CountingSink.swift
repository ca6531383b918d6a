import Exposition
import Synchronization

/// Numbers series as they come and keeps nothing.
final class CountingSink: SampleSink {
  private let count = Atomic<UInt32>(0)

  func register(_ labels: LabelSet, _ metadata: MetricMetadata? = nil) -> SeriesID? {
    SeriesID(rawValue: count.add(1, ordering: .relaxed).newValue)
  }

  func find(_ labels: LabelSet) -> SeriesID? { nil }
  func release(_ series: [SeriesID]) {}
  func append(_ samples: [Sample], _ attachments: [Attachment]) {}
}
