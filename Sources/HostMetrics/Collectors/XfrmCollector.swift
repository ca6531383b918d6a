// Reads /proc/net/xfrm_stat: a key and a number a line (Documentation/networking/xfrm_proc.rst).

import Bytes
import Exposition
import Kernel

final class XfrmCollector: Collector {
  static let name = "xfrm"
  static let isEnabledByDefault = false

  /// One that the kernel does not have is 0.
  private static let counters: [(key: StaticString, family: MetricFamily)] = [
    ("XfrmInError", counter("in_error", "All errors not matched by other")),
    ("XfrmInBufferError", counter("in_buffer_error", "No buffer is left")),
    ("XfrmInHdrError", counter("in_hdr_error", "Header error")),
    (
      "XfrmInNoStates",
      counter("in_no_states", "No state is found i.e. Either inbound SPI, address, or IPsec protocol at SA is wrong")
    ),
    (
      "XfrmInStateProtoError",
      counter("in_state_proto_error", "Transformation protocol specific error e.g. SA key is wrong")
    ),
    ("XfrmInStateModeError", counter("in_state_mode_error", "Transformation mode specific error")),
    ("XfrmInStateSeqError", counter("in_state_seq_error", "Sequence error i.e. Sequence number is out of window")),
    ("XfrmInStateExpired", counter("in_state_expired", "State is expired")),
    (
      "XfrmInStateMismatch",
      counter("in_state_mismatch", "State has mismatch option e.g. UDP encapsulation type is mismatch")
    ),
    ("XfrmInStateInvalid", counter("in_state_invalid", "State is invalid")),
    (
      "XfrmInTmplMismatch",
      counter("in_tmpl_mismatch", "No matching template for states e.g. Inbound SAs are correct but SP rule is wrong")
    ),
    (
      "XfrmInNoPols",
      counter("in_no_pols", "No policy is found for states e.g. Inbound SAs are correct but no SP is found")
    ),
    ("XfrmInPolBlock", counter("in_pol_block", "Policy discards")),
    ("XfrmInPolError", counter("in_pol_error", "Policy error")),
    ("XfrmOutError", counter("out_error", "All errors which is not matched others")),
    ("XfrmOutBundleGenError", counter("out_bundle_gen_error", "Bundle generation error")),
    ("XfrmOutBundleCheckError", counter("out_bundle_check_error", "Bundle check error")),
    ("XfrmOutNoStates", counter("out_no_states", "No state is found")),
    ("XfrmOutStateProtoError", counter("out_state_proto_error", "Transformation protocol specific error")),
    ("XfrmOutStateModeError", counter("out_state_mode_error", "Transformation mode specific error")),
    ("XfrmOutStateSeqError", counter("out_state_seq_error", "Sequence error i.e. Sequence number overflow")),
    ("XfrmOutStateExpired", counter("out_state_expired", "State is expired")),
    ("XfrmOutPolBlock", counter("out_pol_block", "Policy discards")),
    ("XfrmOutPolDead", counter("out_pol_dead", "Policy is dead")),
    ("XfrmOutPolError", counter("out_pol_error", "Policy error")),
    ("XfrmFwdHdrError", counter("fwd_hdr_error", "Forward routing of a packet is not allowed")),
    ("XfrmOutStateInvalid", counter("out_state_invalid", "State is invalid, perhaps expired")),
    ("XfrmAcquireError", counter("acquire_error", "State hasn’t been fully acquired before use")),
  ]

  private static func counter(_ name: String, _ help: String) -> MetricFamily {
    .counter("node_xfrm_\(name)_packets_total", help)
  }

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 2048)

  init(_ host: Host) { file = KernelFile(host.proc("net/xfrm_stat")) }

  func collect(into writer: MetricWriter) throws {
    guard try file.readIfPresent(into: &buffer) else { throw NoData("the kernel keeps no statistics of IPsec") }
    let values = try buffer.withBytes { bytes in try parse(bytes) }
    for (counter, value) in zip(Self.counters, values) { writer.sample(counter.family, Double(value)) }
  }

  /// In the order of `counters`.
  private func parse(_ bytes: RawSpan) throws -> [Int64] {
    var values = [Int64](repeating: 0, count: Self.counters.count)
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let key = fields.field(), let text = fields.field(), let value = Int64(decimal: text) else {
        throw MalformedFile(file.path, "expected a key and a number", in: line)
      }
      for place in values.indices where key.equals(Self.counters[place].key) { values[place] = value }
    }
    return values
  }
}
