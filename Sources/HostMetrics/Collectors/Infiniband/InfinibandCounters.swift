// The files of a port of an InfiniBand adapter, and what they are shown as.

import Bytes
import Exposition

/// Below the port's folder.
let infinibandStates = [
  gauge(
    "state", "state_id",
    "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)", .state),
  gauge(
    "phys_state", "physical_state_id",
    "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, "
      + "6: link error recover, 7: phytest)", .state),
  gauge("rate", "rate_bytes_per_second", "Maximum signal transfer rate", .rate),
]

/// By folder: counters_ext was there before Linux 4.5, hw_counters is since Linux 4.6
/// (https://enterprise-support.nvidia.com/s/article/understanding-mlx5-linux-counters-and-status-parameters).
let infinibandCounters: [(folder: String, counters: [Attribute])] = [
  (
    "counters_ext",
    [
      counter(
        "port_multicast_rcv_packets", "legacy_multicast_packets_received_total",
        "Number of multicast packets received"),
      counter(
        "port_multicast_xmit_packets", "legacy_multicast_packets_transmitted_total",
        "Number of multicast packets transmitted"),
      counter(
        "port_rcv_data_64", "legacy_data_received_bytes_total",
        "Number of data octets received on all links", .words),
      counter("port_rcv_packets_64", "legacy_packets_received_total", "Number of data packets received on all links"),
      counter(
        "port_unicast_rcv_packets", "legacy_unicast_packets_received_total",
        "Number of unicast packets received"),
      counter(
        "port_unicast_xmit_packets", "legacy_unicast_packets_transmitted_total",
        "Number of unicast packets transmitted"),
      counter(
        "port_xmit_data_64", "legacy_data_transmitted_bytes_total",
        "Number of data octets transmitted on all links", .words),
      counter(
        "port_xmit_packets_64", "legacy_packets_transmitted_total",
        "Number of data packets received on all links"),
    ]
  ),
  (
    "counters",
    [
      counter(
        "excessive_buffer_overrun_errors", "excessive_buffer_overrun_errors_total",
        "Number of times that OverrunErrors consecutive flow control update periods occurred, each having at "
          + "least one overrun error."),
      counter(
        "link_downed", "link_downed_total",
        "Number of times the link failed to recover from an error state and went down"),
      counter(
        "link_error_recovery", "link_error_recovery_total",
        "Number of times the link successfully recovered from an error state"),
      counter(
        "local_link_integrity_errors", "local_link_integrity_errors_total",
        "Number of times that the count of local physical errors exceeded the threshold specified by "
          + "LocalPhyErrors."),
      counter(
        "multicast_rcv_packets", "multicast_packets_received_total",
        "Number of multicast packets received (including errors)"),
      counter(
        "multicast_xmit_packets", "multicast_packets_transmitted_total",
        "Number of multicast packets transmitted (including errors)"),
      counter(
        "port_rcv_constraint_errors", "port_constraint_errors_received_total",
        "Number of packets received on the switch physical port that are discarded"),
      counter(
        "port_xmit_constraint_errors", "port_constraint_errors_transmitted_total",
        "Number of packets not transmitted from the switch physical port"),
      counter(
        "port_rcv_data", "port_data_received_bytes_total",
        "Number of data octets received on all links", .words),
      counter(
        "port_xmit_data", "port_data_transmitted_bytes_total",
        "Number of data octets transmitted on all links", .words),
      counter(
        "port_rcv_discards", "port_discards_received_total",
        "Number of inbound packets discarded by the port because the port is down or congested"),
      counter(
        "port_xmit_discards", "port_discards_transmitted_total",
        "Number of outbound packets discarded by the port because the port is down or congested"),
      counter(
        "port_rcv_errors", "port_errors_received_total",
        "Number of packets containing an error that were received on this port"),
      counter(
        "port_rcv_packets", "port_packets_received_total",
        "Number of packets received on all VLs by this port (including errors)"),
      counter(
        "port_xmit_packets", "port_packets_transmitted_total",
        "Number of packets transmitted on all VLs from this port (including errors)"),
      counter(
        "port_rcv_remote_physical_errors", "port_receive_remote_physical_errors_total",
        "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port."),
      counter(
        "port_rcv_switch_relay_errors", "port_receive_switch_relay_errors_total",
        "Number of packets that could not be forwarded by the switch."),
      counter(
        "port_xmit_wait", "port_transmit_wait_total",
        "Number of ticks during which the port had data to transmit but no data was sent during the entire tick"),
      counter(
        "symbol_error", "symbol_error_total",
        "Number of minor link errors detected on one or more physical lanes."),
      counter(
        "unicast_rcv_packets", "unicast_packets_received_total",
        "Number of unicast packets received (including errors)"),
      counter(
        "unicast_xmit_packets", "unicast_packets_transmitted_total",
        "Number of unicast packets transmitted (including errors)"),
      counter(
        "VL15_dropped", "vl15_dropped_total",
        "Number of incoming VL15 packets dropped due to resource limitations."),
    ]
  ),
  (
    "hw_counters",
    [
      counter(
        "duplicate_request", "duplicate_requests_packets_total",
        "The number of received packets. A duplicate request is a request that had been previously executed."),
      counter(
        "implied_nak_seq_err", "implied_nak_seq_errors_total",
        "The number of time the requested decided an ACK. with a PSN larger than the expected PSN for an RDMA "
          + "read or response."),
      gauge(
        "lifespan", "lifespan_seconds",
        "The maximum period in ms which defines the aging of the counter reads. Two consecutive reads within "
          + "this period might return the same values.", .seconds),
      counter(
        "local_ack_timeout_err", "local_ack_timeout_errors_total",
        "The number of times QP's ack timer expired for RC, XRC, DCT QPs at the sender side. The QP retry limit "
          + "was not exceed, therefore it is still recoverable error."),
      counter(
        "np_cnp_sent", "np_cnp_packets_sent_total",
        "The number of CNP packets sent by the Notification Point when it noticed congestion experienced in the "
          + "RoCEv2 IP header (ECN bits). The counters was added in MLNX_OFED 4.1"),
      counter(
        "np_ecn_marked_roce_packets", "np_ecn_marked_roce_packets_received_total",
        "The number of RoCEv2 packets received by the notification point which were marked for experiencing the "
          + "congestion (ECN bits where '11' on the ingress RoCE traffic) . The counters was added in MLNX_OFED 4.1"),
      counter(
        "out_of_buffer", "out_of_buffer_drops_total",
        "The number of drops occurred due to lack of WQE for the associated QPs."),
      counter(
        "out_of_sequence", "out_of_sequence_packets_received_total",
        "The number of out of sequence packets received."),
      counter(
        "packet_seq_err", "packet_sequence_errors_total",
        "The number of received NAK sequence error packets. The QP retry limit was not exceeded."),
      counter(
        "req_cqe_error", "req_cqes_errors_total",
        "The number of times requester detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1"),
      counter(
        "req_cqe_flush_error", "req_cqes_flush_errors_total",
        "The number of times requester detected CQEs completed with flushed errors. The counters was added in "
          + "MLNX_OFED 4.1"),
      counter(
        "req_remote_access_errors", "req_remote_access_errors_total",
        "The number of times requester detected remote access errors. The counters was added in MLNX_OFED 4.1"),
      counter(
        "req_remote_invalid_request", "req_remote_invalid_request_errors_total",
        "The number of times requester detected remote invalid request errors. The counters was added in "
          + "MLNX_OFED 4.1"),
      counter(
        "resp_cqe_error", "resp_cqes_errors_total",
        "The number of times responder detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1"),
      counter(
        "resp_cqe_flush_error", "resp_cqes_flush_errors_total",
        "The number of times responder detected CQEs completed with flushed errors. The counters was added in "
          + "MLNX_OFED 4.1"),
      counter(
        "resp_local_length_error", "resp_local_length_errors_total",
        "The number of times responder detected local length errors. The counters was added in MLNX_OFED 4.1"),
      counter(
        "resp_remote_access_errors", "resp_remote_access_errors_total",
        "The number of times responder detected remote access errors. The counters was added in MLNX_OFED 4.1"),
      counter(
        "rnr_nak_retry_err", "rnr_nak_retry_packets_received_total",
        "The number of received RNR NAK packets. The QP retry limit was not exceeded."),
      counter(
        "roce_adp_retrans", "roce_adp_retransmits_total",
        "The number of adaptive retransmissions for RoCE traffic. The counter was added in MLNX_OFED rev "
          + "5.0-1.0.0.0 and kernel v5.6.0"),
      counter(
        "roce_adp_retrans_to", "roce_adp_retransmits_timeout_total",
        "The number of times RoCE traffic reached timeout due to adaptive retransmission. The counter was added "
          + "in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"),
      counter(
        "roce_slow_restart", "roce_slow_restart_used_total",
        "The number of times RoCE slow restart was used. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and "
          + "kernel v5.6.0"),
      counter(
        "roce_slow_restart_cnps", "roce_slow_restart_cnps_total",
        "The number of times RoCE slow restart generated CNP packets. The counter was added in MLNX_OFED rev "
          + "5.0-1.0.0.0 and kernel v5.6.0"),
      counter(
        "roce_slow_restart_trans", "roce_slow_restart_total",
        "The number of times RoCE slow restart changed state to slow restart. The counter was added in MLNX_OFED "
          + "rev 5.0-1.0.0.0 and kernel v5.6.0"),
      counter(
        "rp_cnp_handled", "rp_cnp_packets_handled_total",
        "The number of CNP packets handled by the Reaction Point HCA to throttle the transmission rate. The "
          + "counters was added in MLNX_OFED 4.1"),
      counter(
        "rp_cnp_ignored", "rp_cnp_ignored_packets_received_total",
        "The number of CNP packets received and ignored by the Reaction Point HCA. This counter should not raise "
          + "if RoCE Congestion Control was enabled in the network. If this counter raise, verify that ECN was "
          + "enabled on the adapter."),
      counter(
        "rx_atomic_requests", "rx_atomic_requests_total",
        "The number of received ATOMIC request for the associated QPs."),
      counter(
        "rx_dct_connect", "rx_dct_connect_requests_total",
        "The number of received connection requests for the associated DCTs."),
      counter(
        "rx_icrc_encapsulated", "rx_icrc_encapsulated_errors_total",
        "The number of RoCE packets with ICRC errors. This counter was added in MLNX_OFED 4.4 and kernel 4.19"),
      counter(
        "rx_read_requests", "rx_read_requests_total",
        "The number of received READ requests for the associated QPs."),
      counter(
        "rx_write_requests", "rx_write_requests_total",
        "The number of received WRITE requests for the associated QPs."),
    ]
  ),
]

private func gauge(_ file: String, _ name: String, _ help: String, _ format: NumberFormat) -> Attribute {
  Attribute(file, .gauge("node_infiniband_\(name)", help, ["device", "port"]), format)
}

private func counter(_ file: String, _ name: String, _ help: String, _ format: NumberFormat = .unsigned) -> Attribute {
  Attribute(file, .counter("node_infiniband_\(name)", help, ["device", "port"]), format)
}

extension NumberFormat {
  /// Words of four bytes, as bytes.
  fileprivate static let words = NumberFormat { text in unsignedNumber(text).map { Double($0 &* 4) } }
  /// Milliseconds, as whole seconds.
  fileprivate static let seconds = NumberFormat { text in unsignedNumber(text).map { Double($0 / 1000) } }
  /// "4: ACTIVE".
  fileprivate static let state = NumberFormat { text in
    var scanner = ByteScanner(text)
    guard let number = scanner.field(upTo: UInt8(ascii: ":")) else { return nil }
    return UInt64(decimal: number.trimmed).map { Double($0) }
  }
  /// "40 Gb/sec (4X QDR)", as bytes a second.
  fileprivate static let rate = NumberFormat { text in
    var scanner = ByteScanner(text)
    guard let number = scanner.double(), number >= 0, scanner.next == .space else { return nil }
    return (Double(Float(number)) * 125_000_000).rounded(.down)
  }
}
