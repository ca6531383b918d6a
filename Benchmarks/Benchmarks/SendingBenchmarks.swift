// What is sent: the encoders of remote write 1.0 and 2.0, and the two compressions.

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
  var encoder = WriteRequest1Encoder()
  let outgoing = Outgoing(samples: request.samples)
  measure(name) {
    use(encoder.encode(outgoing, 0..<Request.count, notBefore: .min, SendingOptions(), request.table).samples)
    return encoder.message.count
  }
}

func runEncoder2(_ name: String) {
  let request = Request()
  var encoder = WriteRequest2Encoder()
  let outgoing = Outgoing(samples: request.samples)
  measure(name) {
    use(encoder.encode(outgoing, 0..<Request.count, notBefore: .min, SendingOptions(), request.table).samples)
    return encoder.message.count
  }
}

private func measure(_ name: String, _ encode: () -> Int) {
  Measurement.run(name, samples: Request.count, bytes: encode()) { use(encode()) }
}

func runSnappy(_ name: String) {
  let request = Request()
  var encoder = WriteRequest1Encoder()
  _ = encoder.encode(
    Outgoing(samples: request.samples), 0..<Request.count, notBefore: .min, SendingOptions(), request.table)
  let message = encoder.message.withUnsafeBytes { Array($0) }
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
