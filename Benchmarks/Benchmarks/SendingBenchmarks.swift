// What is sent: the encoder of remote write 1.0, and the two compressions.

import Bytes
import Compression
import Exposition
import RemoteWrite

/// A full request: samples of `max_samples_per_send` series with six labels each, in no order.
private struct Request: ~Copyable {
  static let count = 2_000
  private(set) var table = LabelTable()
  private(set) var samples: [Sample] = []

  init() {
    for index in 0..<Self.count {
      let labels = LabelSet([
        (name: "__name__", value: "node_network_field\(index / 40)_total"), (name: "cluster", value: "eu-central-1a"),
        (name: "device", value: "eth\(index % 40)"), (name: "instance", value: "10.0.3.17:9100"),
        (name: "job", value: "node"), (name: "namespace", value: "monitoring"),
      ])
      guard let series = table.register(labels) else { preconditionFailure("the table refuses \(labels)") }
      samples.append(
        Sample(
          series: SeriesID(rawValue: series), timestamp: 1_700_000_000_000, value: Double(index * index % 7919) / 8))
    }
    // 7 has no divisor in common with the count: every sample comes once.
    samples = samples.indices.map { samples[$0 * 7 % Self.count] }
  }
}

func runEncoder(_ name: String) {
  let request = Request()
  let encoder = WriteRequestEncoder()
  var samples = request.samples
  _ = encoder.encode(samples[...], labels: request.table)
  Measurement.run(name, samples: Request.count, bytes: encoder.messageBytes.count) {
    // As they came from the queue: the last operation has ordered them.
    for index in samples.indices { samples[index] = request.samples[index] }
    encoder.order(&samples)
    use(encoder.encode(samples[...], labels: request.table))
  }
}

func runCompressedEncoder(_ name: String) {
  let request = Request()
  let encoder = WriteRequestEncoder()
  var samples = request.samples
  encoder.order(&samples)
  _ = encoder.encode(samples[...], labels: request.table)
  Measurement.run(name, samples: Request.count, bytes: encoder.messageBytes.count) {
    _ = encoder.encode(samples[...], labels: request.table)
    use(encoder.compressed().readableBytes)
  }
}

func runSnappy(_ name: String) {
  let request = Request()
  let encoder = WriteRequestEncoder()
  var samples = request.samples
  encoder.order(&samples)
  _ = encoder.encode(samples[...], labels: request.table)
  let message = encoder.messageBytes
  var output = ByteWriter()
  Measurement.run(name, samples: Request.count, bytes: message.count) {
    output.removeAll()
    Snappy.compress(message.span.bytes, into: &output)
  }
}

func runGzip(_ name: String) {
  let page = Families.page()
  let compressor = GzipCompressor()
  var output = ByteWriter()
  Measurement.run(name, samples: page.samples, bytes: page.text.count) {
    output.removeAll()
    compressor.compress(page.text.span.bytes, into: &output)
  }
}
