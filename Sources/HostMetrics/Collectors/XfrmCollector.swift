// Reads /proc/net/xfrm_stat (Documentation/networking/xfrm_proc.rst): a name and a number a line.

import Bytes
import Exposition
import Kernel

final class XfrmCollector: Collector {
  static let name = "xfrm"
  static let isEnabledByDefault = false

  /// A line's name, what stands in the metric's name, and the help text.
  private static let lines: [(key: String, name: String, help: String)] = [
    ("XfrmInError", "in_error", "All errors not matched by other"),
    ("XfrmInBufferError", "in_buffer_error", "No buffer is left"),
    ("XfrmInHdrError", "in_hdr_error", "Header error"),
    (
      "XfrmInNoStates", "in_no_states",
      "No state is found i.e. Either inbound SPI, address, or IPsec protocol at SA is wrong"
    ),
    (
      "XfrmInStateProtoError", "in_state_proto_error",
      "Transformation protocol specific error e.g. SA key is wrong"
    ),
    ("XfrmInStateModeError", "in_state_mode_error", "Transformation mode specific error"),
    ("XfrmInStateSeqError", "in_state_seq_error", "Sequence error i.e. Sequence number is out of window"),
    ("XfrmInStateExpired", "in_state_expired", "State is expired"),
    (
      "XfrmInStateMismatch", "in_state_mismatch",
      "State has mismatch option e.g. UDP encapsulation type is mismatch"
    ),
    ("XfrmInStateInvalid", "in_state_invalid", "State is invalid"),
    (
      "XfrmInTmplMismatch", "in_tmpl_mismatch",
      "No matching template for states e.g. Inbound SAs are correct but SP rule is wrong"
    ),
    (
      "XfrmInNoPols", "in_no_pols",
      "No policy is found for states e.g. Inbound SAs are correct but no SP is found"
    ),
    ("XfrmInPolBlock", "in_pol_block", "Policy discards"),
    ("XfrmInPolError", "in_pol_error", "Policy error"),
    ("XfrmOutError", "out_error", "All errors which is not matched others"),
    ("XfrmOutBundleGenError", "out_bundle_gen_error", "Bundle generation error"),
    ("XfrmOutBundleCheckError", "out_bundle_check_error", "Bundle check error"),
    ("XfrmOutNoStates", "out_no_states", "No state is found"),
    ("XfrmOutStateProtoError", "out_state_proto_error", "Transformation protocol specific error"),
    ("XfrmOutStateModeError", "out_state_mode_error", "Transformation mode specific error"),
    ("XfrmOutStateSeqError", "out_state_seq_error", "Sequence error i.e. Sequence number overflow"),
    ("XfrmOutStateExpired", "out_state_expired", "State is expired"),
    ("XfrmOutPolBlock", "out_pol_block", "Policy discards"),
    ("XfrmOutPolDead", "out_pol_dead", "Policy is dead"),
    ("XfrmOutPolError", "out_pol_error", "Policy error"),
    ("XfrmFwdHdrError", "fwd_hdr_error", "Forward routing of a packet is not allowed"),
    ("XfrmOutStateInvalid", "out_state_invalid", "State is invalid, perhaps expired"),
    ("XfrmAcquireError", "acquire_error", "State hasn’t been fully acquired before use"),
  ]

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 2048)
  private var families: FamilyCache

  init(_ host: Host) {
    file = KernelFile(host.proc("net/xfrm_stat"))
    families = FamilyCache { key in
      Self.lines.first { $0.key == key }.map { .counter("node_xfrm_\($0.name)_packets_total", $0.help) }
    }
  }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    var position = -1
    while let line = lines.line() {
      position += 1
      var fields = ByteScanner(line)
      guard let key = fields.field(), let family = families.family(of: key, at: position) else { continue }
      guard let value = fields.unsigned() else { throw MalformedFile(file.path, "expected a number", in: line) }
      writer.sample(family, value)
    }
  }
}
