// The link modes of the ethtool collector: ETHTOOL_LINK_MODE_…_BIT of include/uapi/linux/ethtool.h.

import Exposition
import Kernel

enum EthtoolLinkModes {
  /// A mode's bit, its speed in megabits per second, its duplex mode, and its kind of wire.
  private static let speeds: [(bit: Int, megabits: Int, duplex: String, wire: String)] = [
    (0, 10, "half", "T"), (1, 10, "full", "T"), (2, 100, "half", "T"), (3, 100, "full", "T"),
    (4, 1_000, "half", "T"), (5, 1_000, "full", "T"), (12, 10_000, "full", "T"), (17, 1_000, "full", "KX"),
    (18, 10_000, "full", "KX4"), (19, 10_000, "full", "KR"), (20, 10_000, "full", "R_FEC"),
    (21, 20_000, "full", "MLD2"), (22, 20_000, "full", "KR2"), (23, 40_000, "full", "KR4"),
    (24, 40_000, "full", "CR4"), (25, 40_000, "full", "SR4"), (26, 40_000, "full", "LR4"),
    (27, 56_000, "full", "KR4"), (28, 56_000, "full", "CR4"), (29, 56_000, "full", "SR4"),
    (30, 56_000, "full", "LR4"), (31, 25_000, "full", "CR"), (32, 25_000, "full", "KR"), (33, 25_000, "full", "SR"),
    (34, 50_000, "full", "CR2"), (35, 50_000, "full", "KR2"), (36, 100_000, "full", "KR4"),
    (37, 100_000, "full", "SR4"), (38, 100_000, "full", "CR4"), (39, 100_000, "full", "R4_ER4"),
    (40, 50_000, "full", "SR2"), (41, 1_000, "full", "X"), (42, 10_000, "full", "CR"), (43, 10_000, "full", "SR"),
    (44, 10_000, "full", "LR"), (45, 10_000, "full", "LRM"), (46, 10_000, "full", "ER"), (47, 2_500, "full", "T"),
    (48, 5_000, "full", "T"), (52, 50_000, "full", "KR"), (53, 50_000, "full", "SR"), (54, 50_000, "full", "CR"),
    (55, 50_000, "full", "LR_ER_FR"), (56, 50_000, "full", "DR"), (57, 100_000, "full", "KR2"),
    (58, 100_000, "full", "SR2"), (59, 100_000, "full", "CR2"), (60, 100_000, "full", "LR2_ER2_FR2"),
    (61, 100_000, "full", "DR2"), (62, 200_000, "full", "KR4"), (63, 200_000, "full", "SR4"),
    (64, 200_000, "full", "LR4_ER4_FR4"), (65, 200_000, "full", "DR4"), (66, 200_000, "full", "CR4"),
    (67, 100, "full", "T1"), (68, 1_000, "full", "T1"), (69, 400_000, "full", "KR8"), (70, 400_000, "full", "SR8"),
    (71, 400_000, "full", "LR8_ER8_FR8"), (72, 400_000, "full", "DR8"), (73, 400_000, "full", "CR8"),
    (75, 100_000, "full", "KR"), (76, 100_000, "full", "SR"), (77, 100_000, "full", "LR_ER_FR"),
    (78, 100_000, "full", "CR"), (79, 100_000, "full", "DR"), (80, 200_000, "full", "KR2"),
    (81, 200_000, "full", "SR2"), (82, 200_000, "full", "LR2_ER2_FR2"), (83, 200_000, "full", "DR2"),
    (84, 200_000, "full", "CR2"), (85, 400_000, "full", "KR4"), (86, 400_000, "full", "SR4"),
    (87, 400_000, "full", "LR4_ER4_FR4"), (88, 400_000, "full", "DR4"), (89, 400_000, "full", "CR4"),
    (90, 100, "half", "FX"), (91, 100, "full", "FX"),
  ]

  /// As labels, and in bytes per second.
  private static let speedRows = speeds.map { mode in
    (
      bit: mode.bit, duplex: mode.duplex, mode: "\(mode.megabits)base\(mode.wire)",
      bytes: Double(mode.megabits) * 1_000_000 / 8
    )
  }

  private static let ports: [(bit: Int, name: StaticString)] = [
    (7, "TP"), (8, "AUI"), (9, "MII"), (10, "FIBRE"), (11, "BNC"), (16, "Backplane"),
  ]
  private static let autonegotiation = 6
  private static let pause = 13
  private static let asymmetricPause = 14

  /// What a set of modes is shown as.
  struct Families: Sendable {
    let speed: MetricFamily
    /// The bits that are shown by themselves.
    let bits: [(bit: Int, family: MetricFamily)]

    /// - Parameters:
    ///   - name: the set's: "supported".
    ///   - verb, noun: how the help texts put it.
    init(_ name: String, _ verb: String, pause noun: String) {
      speed = .gauge(
        "node_network_\(name)_speed_bytes",
        "Combination of speeds and features \(verb == "supports" ? "supported" : "offered") by network device",
        ["device", "duplex", "mode"])
      bits = [
        (autonegotiation, "autonegotiate", "autonegotiate"), (EthtoolLinkModes.pause, "pause", "pause \(noun)"),
        (asymmetricPause, "asymmetricpause", "asymmetric pause \(noun)"),
      ].map { bit, short, long in
        (bit, .gauge("node_network_\(short)_\(name)", "If this port device \(verb) \(long)", ["device"]))
      }
    }
  }

  static let supported = Families("supported", "supports", pause: "frames")
  static let advertised = Families("advertised", "offers", pause: "capability")
  private static let port = MetricFamily.gauge(
    "node_network_supported_port_info", "Type of ports or PHYs supported by network device", ["device", "type"])

  static func write(_ modes: LinkModes, of device: String, as families: Families, to writer: MetricWriter) {
    for row in speedRows where modes.contains(row.bit) {
      writer.begin(families.speed)
      writer.label(device)
      writer.label(row.duplex)
      writer.label(row.mode)
      writer.end(row.bytes)
    }
    for (bit, family) in families.bits {
      writer.begin(family)
      writer.label(device)
      writer.end(modes.contains(bit) ? 1.0 : 0.0)
    }
  }

  static func writePorts(_ modes: LinkModes, of device: String, to writer: MetricWriter) {
    for (bit, name) in ports where modes.contains(bit) {
      writer.begin(port)
      writer.label(device)
      writer.label(name)
      writer.end(1.0)
    }
  }
}
