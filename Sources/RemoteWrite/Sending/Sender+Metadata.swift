import Exposition
import HTTPClient
import NIOCore

/// What families are, told to a receiver of remote write 1.0 now and then.
extension Sender {
  func startMetadata() {
    guard version == .v1, options.metadata.isSent, metadataTask == nil, !isStopped else { return }
    let interval = TimeAmount(options.metadata.interval)
    metadataTask = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in self.sendMetadata() }
  }

  /// Tells what families are. When it fails, the next time is soon enough.
  func sendMetadata() {
    guard version == .v1, !isFailing else { return }
    var seen: Set<String> = []
    let families = families().filter { seen.insert($0.family).inserted }
    sendMetadata(families[...])
  }

  func sendMetadata(_ families: ArraySlice<MetricMetadata>) {
    let part = families.prefix(max(options.metadata.maxPerSend, 1))
    guard !part.isEmpty, !isStopped else { return }
    encoder1.encode(part)
    let body = compressed(.v1)
    post(body, 0) { answer, _ in
      if case .response(let response) = answer, (200...299).contains(response.status) {
        self.shown.withLock { shown in
          shown.metadataSent += UInt64(part.count)
          shown.metadataBytes += UInt64(body.readableBytes)
        }
        self.sendMetadata(families.dropFirst(part.count))
      } else {
        self.shown.withLock { $0.metadataFailed += UInt64(part.count) }
      }
    }
  }
}
