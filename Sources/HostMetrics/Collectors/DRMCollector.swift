// Reads /sys/class/drm/cardN/device of AMD's graphics cards (Documentation/gpu/amdgpu).

import Exposition
import Kernel

final class DRMCollector: Collector {
  static let name = "drm"
  static let isEnabledByDefault = false

  /// Labels of the card, but for its own name and its vendor's, and the files that they are in.
  private static let infoFiles = ["mem_info_vram_vendor", "power_dpm_force_performance_level", "unique_id"]
  private static let info = MetricFamily.gauge(
    "node_drm_card_info", "Card information",
    ["card", "memory_vendor", "power_performance_level", "unique_id", "vendor"])

  /// Numbers; a card that lacks one shows 0.
  private static let numbers: [(file: String, family: MetricFamily)] = [
    ("gpu_busy_percent", gauge("gpu_busy_percent", "How busy the GPU is as a percentage.")),
    (
      "mem_info_gtt_total",
      gauge("memory_gtt_size_bytes", "The size of the graphics translation table (GTT) block in bytes.")
    ),
    (
      "mem_info_gtt_used",
      gauge("memory_gtt_used_bytes", "The used amount of the graphics translation table (GTT) block in bytes.")
    ),
    ("mem_info_vis_vram_total", gauge("memory_vis_vram_size_bytes", "The size of visible VRAM in bytes.")),
    ("mem_info_vis_vram_used", gauge("memory_vis_vram_used_bytes", "The used amount of visible VRAM in bytes.")),
    ("mem_info_vram_total", gauge("memory_vram_size_bytes", "The size of VRAM in bytes.")),
    ("mem_info_vram_used", gauge("memory_vram_used_bytes", "The used amount of VRAM in bytes.")),
  ]

  private static func gauge(_ name: String, _ help: String) -> MetricFamily {
    .gauge("node_drm_\(name)", help, ["card"])
  }

  private var cards: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader()

  init(_ host: Host) {
    let reader = reader
    // card0 is a card, card0-DP-1 one of its connectors.
    cards = DeviceFolders(host.sys("class/drm")) { name, path in
      guard name.hasPrefix("card"), UInt32(name.dropFirst(4)) != nil,
        let event = reader.text("\(path)/device", "uevent"),
        event.split(separator: "\n").contains("DRIVER=amdgpu")
      else { return nil }
      return DeviceFolder(name: name, path: "\(path)/device")
    }
  }

  func collect(into writer: MetricWriter) throws {
    for card in try cards.present() {
      let labels = Self.infoFiles.map { reader.text(card.path, $0) ?? "" }
      writer.write(Self.info, [card.name] + labels + ["amd"], 1)
      for number in Self.numbers {
        writer.write(number.family, [card.name], Double(reader.unsigned(card.path, number.file) ?? 0))
      }
    }
  }
}
