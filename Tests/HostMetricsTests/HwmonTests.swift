import Bytes
import Glibc
import TestSupport
import Testing

@testable import HostMetrics

/// Every type of sensor, on a chip without a device.
private let chip = """
  name My Chip-2
  beep_enable 1
  vrm 9.1
  update_interval 1500
  in0_input 792
  cpu0_vid 1250
  fan1_input 1200
  fan1_div 4
  fan2_alarm 0
  pwm1 255
  pwm1_enable 5
  temp1_input 31000
  temp1_type 4
  temp1_crit-odd 7000
  temp1_label Core 0\u{20}
  temp2_fault 1
  temp2_beep 0
  curr1_input -1500
  energy1_input 123456789
  power1_accuracy 500000
  power1_average_interval 1000
  power1_input 4200000
  humidity1_input 54321
  freq1_input 1500000000
  freq1_label S Clk
  freq2_input 7
  in_input 9
  temp3_input  55000
  temp4_input 0x10
  temp5input 1
  temp6_ 1
  other1_input 1
  """

private let shown = """
  # HELP node_hwmon_beep_enabled Hardware beep enabled
  # TYPE node_hwmon_beep_enabled gauge
  node_hwmon_beep_enabled{chip="my_chip_2",sensor="beep_enable0"} 1
  # HELP node_hwmon_chip_names Annotation metric for human-readable chip names
  # TYPE node_hwmon_chip_names gauge
  node_hwmon_chip_names{chip="my_chip_2",chip_name="my_chip_2"} 1
  # HELP node_hwmon_cpu_vid_volts Hardware monitor for voltage (vid)
  # TYPE node_hwmon_cpu_vid_volts gauge
  node_hwmon_cpu_vid_volts{chip="my_chip_2",sensor="cpu0"} 1.25
  # HELP node_hwmon_curr_amps Hardware monitor for current (input)
  # TYPE node_hwmon_curr_amps gauge
  node_hwmon_curr_amps{chip="my_chip_2",sensor="curr1"} -1.5
  # HELP node_hwmon_energy_joule_total Hardware monitor for joules used so far (input)
  # TYPE node_hwmon_energy_joule_total counter
  node_hwmon_energy_joule_total{chip="my_chip_2",sensor="energy1"} 123.456789
  # HELP node_hwmon_fan_alarm Hardware sensor alarm status (fan)
  # TYPE node_hwmon_fan_alarm gauge
  node_hwmon_fan_alarm{chip="my_chip_2",sensor="fan2"} 0
  # HELP node_hwmon_fan_div Hardware monitor fan element div
  # TYPE node_hwmon_fan_div gauge
  node_hwmon_fan_div{chip="my_chip_2",sensor="fan1"} 4
  # HELP node_hwmon_fan_rpm Hardware monitor for fan revolutions per minute (input)
  # TYPE node_hwmon_fan_rpm gauge
  node_hwmon_fan_rpm{chip="my_chip_2",sensor="fan1"} 1200
  # HELP node_hwmon_freq_freq_mhz Hardware monitor for GPU frequency in MHz
  # TYPE node_hwmon_freq_freq_mhz gauge
  node_hwmon_freq_freq_mhz{chip="my_chip_2",sensor="s_clk"} 1500
  # HELP node_hwmon_humidity Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) (input)
  # TYPE node_hwmon_humidity gauge
  node_hwmon_humidity{chip="my_chip_2",sensor="humidity1"} 0.054321
  # HELP node_hwmon_in_volts Hardware monitor for voltage (input)
  # TYPE node_hwmon_in_volts gauge
  node_hwmon_in_volts{chip="my_chip_2",sensor="in0"} 0.792
  # HELP node_hwmon_power_accuracy Hardware monitor power meter accuracy, as a ratio
  # TYPE node_hwmon_power_accuracy gauge
  node_hwmon_power_accuracy{chip="my_chip_2",sensor="power1"} 0.5
  # HELP node_hwmon_power_average_interval_seconds Hardware monitor power usage update interval (average_interval)
  # TYPE node_hwmon_power_average_interval_seconds gauge
  node_hwmon_power_average_interval_seconds{chip="my_chip_2",sensor="power1"} 1
  # HELP node_hwmon_power_watt Hardware monitor for power usage in watts (input)
  # TYPE node_hwmon_power_watt gauge
  node_hwmon_power_watt{chip="my_chip_2",sensor="power1"} 4.2
  # HELP node_hwmon_pwm Hardware monitor pwm element\u{20}
  # TYPE node_hwmon_pwm gauge
  node_hwmon_pwm{chip="my_chip_2",sensor="pwm1"} 255
  # HELP node_hwmon_pwm_enable Hardware monitor pwm element enable
  # TYPE node_hwmon_pwm_enable gauge
  node_hwmon_pwm_enable{chip="my_chip_2",sensor="pwm1"} 5
  # HELP node_hwmon_sensor_label Label for given chip and sensor
  # TYPE node_hwmon_sensor_label gauge
  node_hwmon_sensor_label{chip="my_chip_2",label="Core 0 ",sensor="temp1"} 1
  node_hwmon_sensor_label{chip="my_chip_2",label="S Clk",sensor="freq1"} 1
  # HELP node_hwmon_temp_beep_enabled Hardware monitor sensor has beeping enabled
  # TYPE node_hwmon_temp_beep_enabled gauge
  node_hwmon_temp_beep_enabled{chip="my_chip_2",sensor="temp2"} 0
  # HELP node_hwmon_temp_celsius Hardware monitor for temperature (input)
  # TYPE node_hwmon_temp_celsius gauge
  node_hwmon_temp_celsius{chip="my_chip_2",sensor="temp1"} 31
  # HELP node_hwmon_temp_crit_odd_celsius Hardware monitor for temperature (crit-odd)
  # TYPE node_hwmon_temp_crit_odd_celsius gauge
  node_hwmon_temp_crit_odd_celsius{chip="my_chip_2",sensor="temp1"} 7
  # HELP node_hwmon_temp_fault Hardware sensor fault status (temp)
  # TYPE node_hwmon_temp_fault gauge
  node_hwmon_temp_fault{chip="my_chip_2",sensor="temp2"} 1
  # HELP node_hwmon_temp_type Hardware monitor temp element type
  # TYPE node_hwmon_temp_type gauge
  node_hwmon_temp_type{chip="my_chip_2",sensor="temp1"} 4
  # HELP node_hwmon_update_interval_seconds Hardware monitor update interval
  # TYPE node_hwmon_update_interval_seconds gauge
  node_hwmon_update_interval_seconds{chip="my_chip_2",sensor="update_interval0"} 1.5
  # HELP node_hwmon_voltage_regulator_version Hardware voltage regulator
  # TYPE node_hwmon_voltage_regulator_version gauge
  node_hwmon_voltage_regulator_version{chip="my_chip_2",sensor="vrm0"} 9.1

  """

private let folder = "sys/class/hwmon"

/// A chip as sysfs shows it: a link to a folder below its device's.
private func addChip(_ root: TemporaryDirectory, _ name: String, device: String, _ tree: String) {
  root.writeTree("sys/devices/\(device)/hwmon/\(name)", tree)
  root.link("sys/devices/\(device)/hwmon/\(name)/device", to: "../..")
  root.link("\(folder)/\(name)", to: "../../devices/\(device)/hwmon/\(name)")
}

private func make(_ root: TemporaryDirectory, _ arguments: [String] = []) throws -> HwmonCollector {
  try HwmonCollector(.fixture(HwmonCollector.self, root.path, arguments))
}

/// The chips' labels.
private func chips(_ collector: HwmonCollector) throws -> [String] {
  try lines(render(collector), "node_hwmon_chip_names").compactMap { line in
    line.split(separator: "\"").dropFirst().first.map(String.init)
  }
}

@Suite struct HwmonTests {
  @Test func showsEveryTypeOfSensor() throws {
    let root = TemporaryDirectory()
    root.writeTree("\(folder)/hwmon0", chip)
    let collector = try make(root)
    for _ in 0..<2 { #expect(try render(collector) == shown) }
  }

  @Test func needsTheFolder() throws {
    let root = TemporaryDirectory()
    let collector = try make(root)
    #expect(throws: NoData.self) { try render(collector) }
    root.makeDirectory(folder)
    #expect(try render(collector).isEmpty)
  }

  @Test func namesChipsByTheirDevices() throws {
    let root = TemporaryDirectory()
    addChip(root, "hwmon0", device: "platform/coretemp.0", "name coretemp\ntemp1_input 1000")
    // The device's own files: they win.
    addChip(root, "hwmon1", device: "pci0/0000:00:1f.0", "name drv\ntemp1_input 1000")
    root.writeTree("sys/devices/pci0/0000:00:1f.0", "temp1_input 2000\ntemp1_max 3000")
    root.link("\(folder)/hwmon2", to: "nowhere")
    root.writeTree(folder, "file x\nHwmon-9/in1_input 3")
    let collector = try make(root)
    let shown = [
      #"node_hwmon_chip_names{chip="pci0_0000:00:1f_0",chip_name="drv"} 1"#,
      #"node_hwmon_chip_names{chip="platform_coretemp_0",chip_name="coretemp"} 1"#,
      #"node_hwmon_in_volts{chip="hwmon_9",sensor="in1"} 0.003"#,
      #"node_hwmon_temp_celsius{chip="pci0_0000:00:1f_0",sensor="temp1"} 2"#,
      #"node_hwmon_temp_celsius{chip="platform_coretemp_0",sensor="temp1"} 1"#,
      #"node_hwmon_temp_max_celsius{chip="pci0_0000:00:1f_0",sensor="temp1"} 3"#,
    ]
    #expect(try samples(collector) == shown)
    // Without the device's file, the chip's own counts.
    root.delete("sys/devices/pci0/0000:00:1f.0/temp1_input")
    #expect(try samples(collector)[3] == #"node_hwmon_temp_celsius{chip="pci0_0000:00:1f_0",sensor="temp1"} 1"#)
  }

  @Test func tellsChipsOfOneDeviceApart() throws {
    let root = TemporaryDirectory()
    addChip(root, "hwmon0", device: "platform/wmi", "name fans\ntemp1_input 1000")
    let collector = try make(root)
    #expect(try chips(collector) == ["platform_wmi"])
    addChip(root, "hwmon1", device: "platform/wmi", "name sensors\ntemp1_input 2000")
    #expect(try chips(collector) == ["platform_wmi_fans", "platform_wmi_sensors"])
    addChip(root, "hwmon2", device: "platform/wmi", "name sensors\ntemp1_input 3000")
    #expect(try chips(collector) == ["platform_wmi_fans", "platform_wmi_hwmon1", "platform_wmi_hwmon2"])
    root.delete("\(folder)/hwmon1")
    root.delete("\(folder)/hwmon2")
    #expect(try chips(collector) == ["platform_wmi"])
  }

  @Test(arguments: [
    (["--collector.hwmon.chip-include=b"], ["b temp1", "b temp2"]),
    (["--collector.hwmon.chip-exclude=^a"], ["b temp1", "b temp2"]),
    (["--collector.hwmon.chip-include=a|b", "--collector.hwmon.chip-exclude=^a"], ["b temp1", "b temp2"]),
    (["--collector.hwmon.sensor-include=a;temp2"], ["a temp2"]),
    (["--collector.hwmon.sensor-exclude=a;temp2|^b"], ["a temp1"]),
  ]) func filters(_ arguments: [String], _ shown: [String]) throws {
    let root = TemporaryDirectory()
    for name in ["a", "b"] {
      root.writeTree("\(folder)/hwmon-\(name)", "name \(name)\ntemp1_input 1\ntemp2_input 2")
    }
    let temperatures = try lines(render(make(root, arguments)), "node_hwmon_temp_celsius").map { line in
      line.split(separator: "\"").enumerated().filter { $0.offset % 2 == 1 }.map(\.element).joined(separator: " ")
    }
    #expect(temperatures == shown)
  }

  @Test func refusesABadPattern() throws {
    #expect(throws: CollectorConfigurationError.self) {
      try make(TemporaryDirectory(), ["--collector.hwmon.chip-include=("])
    }
  }

  @Test func followsFilesAndChips() throws {
    let root = TemporaryDirectory()
    root.writeTree(folder, "hwmon0/name a\nhwmon0/temp1_input 1000\nhwmon1/name b\nhwmon1/fan1_input 5")
    let collector = try make(root)
    _ = try render(collector)
    root.writeTree(folder, "hwmon0/temp2_input 2000")
    #expect(try lines(render(collector), "node_hwmon_temp_celsius").count == 2)
    root.move("\(folder)/hwmon0", to: "away")
    #expect(
      try samples(collector) == [
        #"node_hwmon_chip_names{chip="b",chip_name="b"} 1"#, #"node_hwmon_fan_rpm{chip="b",sensor="fan1"} 5"#,
      ])
  }

  /// Whatever becomes of a file, the others' samples stay.
  @Test func losesNoOtherValue() throws {
    let root = TemporaryDirectory()
    root.writeTree("\(folder)/hwmon0", "name a\ntemp1_input 1000\ntemp1_label x\ntemp2_input 2000")
    let collector = try make(root)
    let kept = #"node_hwmon_temp_celsius{chip="a",sensor="temp2"} 2"#
    for file in ["temp1_input", "temp1_label"] {
      for text in ["", "garbage", "1e999", "\u{0}", String(repeating: "9", count: 100_000)] {
        root.overwrite("\(folder)/hwmon0/\(file)", text)
        #expect(try samples(collector).contains(kept))
      }
      root.delete("\(folder)/hwmon0/\(file)")
      root.makeFIFO("\(folder)/hwmon0/\(file)")
      #expect(try samples(collector).contains(kept))
    }
  }

  @Test func survivesAnything() throws {
    let root = TemporaryDirectory()
    root.writeTree("\(folder)/hwmon0", chip)
    let collector = try make(root)
    var random = SeededGenerator(11)
    for _ in 0..<500 {
      guard let (name, text) = TemporaryDirectory.files(chip).randomElement(using: &random) else { continue }
      root.overwrite("\(folder)/hwmon0/\(name)", bytes: mutated(Array(text.utf8), with: &random))
      _ = try render(collector)
    }
  }

  @Test(arguments: [
    ("temp1_input", "temp", 1, "input"), ("pwm1_auto_point2_temp", "pwm", 1, "auto_point2_temp"),
    ("pwm3", "pwm", 3, ""),
    ("beep_enable", "beep_enable", 0, ""), ("in", "in", 0, ""), ("temp007_max", "temp", 7, "max"),
  ]) func readsFileNames(_ name: String, _ type: String, _ number: Int, _ element: String) {
    let file = HwmonFile(name)
    #expect(file?.type == type)
    #expect(file?.number == number)
    #expect(file?.element == element)
  }

  @Test(arguments: [
    "", "name", "temp_input", "temp1input", "temp1_", "1temp_input", "temp99999999999999999999_input", "Temp1_input",
    "_1", "uevent",
  ]) func refusesOtherFileNames(_ name: String) { #expect(HwmonFile(name) == nil) }

  /// Any text gives a file or none, and any file a metric or none whose name Prometheus takes.
  @Test func makesProperNamesOfAnything() throws {
    var random = SeededGenerator(12)
    let metrics = HwmonMetrics()
    for (name, _) in TemporaryDirectory.files(chip) {
      for _ in 0..<50 {
        let text = String(decoding: mutated(Array(name.utf8), with: &random), as: UTF8.self)
        guard let file = HwmonFile(text),
          let metric = metrics.metric(of: file, hasPlainFile: Bool.random(using: &random))
        else { continue }
        #expect(
          metric.family.name.utf8.allSatisfy { $0.isDigit || (0x61...0x7a).contains($0) || $0 == 0x5f || $0 == 0x3a })
      }
    }
  }
}
