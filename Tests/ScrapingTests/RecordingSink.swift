import Exposition
import Synchronization

/// A sink that remembers all.
final class RecordingSink: SampleSink {
  struct State {
    var ids: [LabelSet: SeriesID] = [:]
    var labels: [LabelSet] = []
    var registrations: [SeriesID: Int] = [:]
    var samples: [Sample] = []
    var appends = 0
    /// What the last registration said.
    var metadata: [String: MetricMetadata?] = [:]
    /// What samples carried since the last `takeAttachments`, each with its series.
    var attachments: [String] = []
  }

  let state = Mutex(State())
  let refuses: @Sendable (LabelSet) -> Bool

  init(refusing refuses: @escaping @Sendable (LabelSet) -> Bool = { _ in false }) { self.refuses = refuses }

  func register(_ labels: LabelSet, _ metadata: MetricMetadata? = nil) -> SeriesID? {
    if refuses(labels) { return nil }
    return state.withLock { state in
      let id = state.ids[labels] ?? SeriesID(rawValue: UInt32(state.labels.count))
      if state.ids[labels] == nil {
        state.ids[labels] = id
        state.labels.append(labels)
      }
      state.registrations[id, default: 0] += 1
      state.metadata[labels.description] = metadata
      return id
    }
  }

  func find(_ labels: LabelSet) -> SeriesID? {
    state.withLock { state in
      state.ids[labels].flatMap { state.registrations[$0, default: 0] > 0 ? $0 : nil }
    }
  }

  func release(_ series: [SeriesID]) {
    state.withLock { state in for id in series { state.registrations[id, default: 0] -= 1 } }
  }

  func append(_ samples: [Sample], _ attachments: [Attachment] = []) {
    state.withLock { state in
      for (index, attachment) in attachments.enumerated() {
        let isOrdered = index == 0 || attachments[index - 1].sample <= attachment.sample
        let name = state.labels[Int(samples[attachment.sample].series.rawValue)].description
        state.attachments.append("\(isOrdered ? "" : "out of order ")\(name) \(attachment.text)")
      }
      state.samples += samples
      state.appends += 1
    }
  }

  /// What samples carried since the last call.
  func takeAttachments() -> [String] {
    state.withLock { state in
      defer { state.attachments = [] }
      return state.attachments
    }
  }

  /// What was appended since the last call: label text, timestamp, value.
  func take() -> [String: [Stored]] {
    state.withLock { state in
      var taken: [String: [Stored]] = [:]
      for sample in state.samples {
        let name = state.labels[Int(sample.series.rawValue)].description
        taken[name, default: []].append(Stored(timestamp: sample.timestamp, bits: sample.value.bitPattern))
      }
      state.samples = []
      return taken
    }
  }

  /// How many series are registered, counted once each; nil when one is registered more or less than once.
  var balance: Int? {
    state.withLock { state in
      state.registrations.values.allSatisfy { $0 == 0 || $0 == 1 } ? state.registrations.values.reduce(0, +) : nil
    }
  }
}

struct Stored: Equatable, CustomStringConvertible {
  var timestamp: Int64
  var bits: UInt64

  init(timestamp: Int64, bits: UInt64) {
    self.timestamp = timestamp
    self.bits = bits
  }

  init(_ value: Double, at timestamp: Int64) { self.init(timestamp: timestamp, bits: value.bitPattern) }

  var description: String {
    let value = Double(bitPattern: bits)
    return value.isStaleMarker ? "stale@\(timestamp)" : "\(value)@\(timestamp)"
  }
}

extension Attachment {
  fileprivate var text: String {
    switch content {
    case .exemplar(let labels, let value, let timestamp): "exemplar \(labels) \(value) \(timestamp)"
    case .histogram(let bytes): "histogram \(bytes)"
    case .start(let time): "start \(time)"
    }
  }
}
