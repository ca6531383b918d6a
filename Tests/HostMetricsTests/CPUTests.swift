import TestSupport
import Testing

@testable import HostMetrics

/// The cpu lines of /proc/stat: USER_HZ of each CPU in each column, all the same but for idle.
private func stat(_ cpus: [(number: Int, ticks: Int, idle: Int)]) -> String {
  let rows = cpus.map { cpu in
    let ticks = String(cpu.ticks)
    let columns = [ticks, ticks, ticks, String(cpu.idle)] + Array(repeating: ticks, count: 6)
    return "cpu\(cpu.number) \(columns.joined(separator: " "))\n"
  }
  return "cpu  1 2 3 4 5 6 7 8 9 10\n" + rows.joined() + "intr 5 0 0\nctxt 7\n"
}

private func makeCollector(_ root: TemporaryDirectory, _ arguments: [String] = []) throws -> CPUCollector {
  try CPUCollector(.fixture(CPUCollector.self, root.path, arguments))
}

/// The seconds of one mode, as "CPU SECONDS".
private func seconds(_ text: String, _ mode: String) -> [String] {
  lines(text, "node_cpu_seconds_total").filter { $0.contains("mode=\"\(mode)\"") }.map { line in
    line.replacing("node_cpu_seconds_total{cpu=\"", with: "").replacing("\",mode=\"\(mode)\"}", with: "")
  }
}

@Suite struct CPUTests {
  @Test func showsEachMode() throws {
    let root = TemporaryDirectory()
    root.write("proc/stat", "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 101 202 303 404 505 606 707 808 909 1010\nbtime 1\n")
    #expect(
      try render(makeCollector(root)) == """
        # HELP node_cpu_guest_seconds_total Seconds the CPUs spent in guests (VMs) for each mode.
        # TYPE node_cpu_guest_seconds_total counter
        node_cpu_guest_seconds_total{cpu="0",mode="nice"} 10.1
        node_cpu_guest_seconds_total{cpu="0",mode="user"} 9.09
        # HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
        # TYPE node_cpu_seconds_total counter
        node_cpu_seconds_total{cpu="0",mode="idle"} 4.04
        node_cpu_seconds_total{cpu="0",mode="iowait"} 5.05
        node_cpu_seconds_total{cpu="0",mode="irq"} 6.06
        node_cpu_seconds_total{cpu="0",mode="nice"} 2.02
        node_cpu_seconds_total{cpu="0",mode="softirq"} 7.07
        node_cpu_seconds_total{cpu="0",mode="steal"} 8.08
        node_cpu_seconds_total{cpu="0",mode="system"} 3.03
        node_cpu_seconds_total{cpu="0",mode="user"} 1.01

        """)
    let without = try render(makeCollector(root, ["--no-collector.cpu.guest"]))
    #expect(lines(without, "node_cpu_guest").isEmpty)
  }

  @Test func takesTheShortLinesOfOldKernels() throws {
    let root = TemporaryDirectory()
    root.write("proc/stat", "cpu0 100 200 300 400\ncpu1")
    let text = try render(makeCollector(root))
    #expect(seconds(text, "idle") == ["0 4", "1 0"])
    #expect(seconds(text, "steal") == ["0 0", "1 0"])
  }

  @Test func neverGoesBack() throws {
    let root = TemporaryDirectory()
    root.write("proc/stat", stat([(0, 1000, 5000)]))
    let collector = try makeCollector(root)
    _ = try render(collector)
    // Overwritten in place: the collector keeps the file open.
    root.overwrite("proc/stat", stat([(0, 900, 4800)]))
    #expect(try seconds(render(collector), "idle") == ["0 50"])
    #expect(try seconds(render(collector), "iowait") == ["0 10"])
    root.overwrite("proc/stat", stat([(0, 1100, 4701)]))
    #expect(try seconds(render(collector), "idle") == ["0 50"])
    #expect(try seconds(render(collector), "user") == ["0 11"])
  }

  @Test func beginsAnewWhenIdleDrops() throws {
    let root = TemporaryDirectory()
    root.write("proc/stat", stat([(0, 1000, 5000), (1, 1000, 5000)]))
    let collector = try makeCollector(root)
    _ = try render(collector)
    root.overwrite("proc/stat", stat([(0, 10, 4700), (1, 10, 4701)]))
    let text = try render(collector)
    #expect(seconds(text, "idle") == ["0 47", "1 50"])
    #expect(seconds(text, "user") == ["0 0.1", "1 10"])
  }

  @Test func keepsTheOthersWhenCPUsComeAndGo() throws {
    let root = TemporaryDirectory()
    root.write("proc/stat", stat((0..<4).map { ($0, 1000, 5000) }))
    let collector = try makeCollector(root)
    _ = try render(collector)
    // Whoever stays must not go back, whoever comes begins with what the kernel has.
    for present in [[0, 2, 3], [0, 1, 2, 3], [2], [2, 3], [0, 2], [0, 1, 2], [1], [], [5]] {
      let before = try render(collector)
      root.overwrite("proc/stat", stat(present.map { ($0, 900, 4900) }))
      let after = try render(collector)
      let expected = present.map { number in
        seconds(before, "user").contains("\(number) 10") ? "\(number) 10" : "\(number) 9"
      }
      #expect(seconds(after, "user") == expected)
    }
  }

  @Test func keepsTheOthersInAnyOrder() throws {
    let root = TemporaryDirectory()
    var random = SeededGenerator(4)
    root.write("proc/stat", stat([(0, 1, 1)]))
    let collector = try makeCollector(root)
    for _ in 0..<300 {
      let present = (0..<8).filter { _ in Bool.random(using: &random) }.shuffled(using: &random)
      root.overwrite("proc/stat", stat(present.map { ($0, Int.random(in: 0...9, using: &random), 0) }))
      #expect(try seconds(render(collector), "user").count == present.count)
    }
  }

  @Test func readsSysfs() throws {
    let root = TemporaryDirectory()
    let folder = "sys/devices/system/cpu"
    root.write("proc/stat", stat((0..<4).map { ($0, 100, 100) }))
    root.write("\(folder)/isolated", "1,3-4\n")
    for cpu in 0..<4 {
      root.write("\(folder)/cpu\(cpu)/online", "\(cpu == 2 ? 0 : 1)\n")
      root.write("\(folder)/cpu\(cpu)/topology/physical_package_id", "\(cpu / 2)\n")
      root.write("\(folder)/cpu\(cpu)/topology/core_id", "0\n")
      root.write("\(folder)/cpu\(cpu)/thermal_throttle/core_throttle_count", "\(cpu + 10)\n")
      root.write("\(folder)/cpu\(cpu)/thermal_throttle/package_throttle_count", "\(cpu + 20)\n")
    }
    root.makeDirectory("\(folder)/cpufreq")
    root.makeDirectory("\(folder)/cpuidle")
    let collector = try makeCollector(root)
    let text = try render(collector)
    #expect(lines(text, "node_cpu_isolated") == [1, 3, 4].map { #"node_cpu_isolated{cpu="\#($0)"} 1"# })
    #expect(lines(text, "node_cpu_online") == (0..<4).map { #"node_cpu_online{cpu="\#($0)"} \#($0 == 2 ? 0 : 1)"# })
    // The threads of one core show the first one's count.
    #expect(
      lines(text, "node_cpu_core_throttles_total") == [
        #"node_cpu_core_throttles_total{core="0",package="0"} 10"#,
        #"node_cpu_core_throttles_total{core="0",package="1"} 12"#,
      ])
    #expect(
      lines(text, "node_cpu_package_throttles_total") == [
        #"node_cpu_package_throttles_total{package="0"} 20"#, #"node_cpu_package_throttles_total{package="1"} 22"#,
      ])

    // What becomes unreadable loses its own series only.
    root.overwrite("\(folder)/cpu1/online", "")
    root.overwrite("\(folder)/cpu2/thermal_throttle/core_throttle_count", "garbage")
    let less = try render(collector)
    #expect(lines(less, "node_cpu_online").count == 3)
    #expect(lines(less, "node_cpu_core_throttles_total").count == 1)
    #expect(lines(less, "node_cpu_package_throttles_total").count == 2)
    #expect(seconds(less, "user").count == 4)
  }

  @Test func showsTheHostsTotals() throws {
    let root = TemporaryDirectory()
    root.write("proc/stat", stat([(0, 100, 100), (1, 100, 100)]))
    root.write("sys/devices/system/cpu/isolated", "1\n")
    for cpu in 0..<2 { root.write("sys/devices/system/cpu/cpu\(cpu)/online", "1\n") }
    let collector = try makeCollector(root, ["--no-collector.cpu.per-core"])
    let text = try render(collector)
    #expect(seconds(text, "user") == ["total 0.01"])
    #expect(seconds(text, "steal") == ["total 0.08"])
    #expect(lines(text, "node_cpu_seconds_total").count == 8)
    #expect(lines(text, "pilotfish_cpus") == ["pilotfish_cpus 2"])
    #expect(lines(text, "node_cpu_online").isEmpty && lines(text, "node_cpu_isolated").isEmpty)
    // It never goes back either.
    root.overwrite("proc/stat", "cpu  0 9 9 9 9 9 9 9 9 9\ncpu0 0\n")
    #expect(try seconds(render(collector), "user") == ["total 0.01"])
    #expect(try lines(render(collector), "pilotfish_cpus") == ["pilotfish_cpus 1"])
  }

  @Test func seesThatOneCPUReplacesAnother() throws {
    let root = TemporaryDirectory()
    let folder = "sys/devices/system/cpu"
    root.write("proc/stat", stat([(0, 1, 1), (1, 1, 1)]))
    root.write("\(folder)/cpu0/online", "1\n")
    root.write("\(folder)/cpu1/online", "1\n")
    let collector = try makeCollector(root)
    #expect(try lines(render(collector), "node_cpu_online").count == 2)
    root.write("\(folder)/cpu2/online", "1\n")
    #expect(try lines(render(collector), "node_cpu_online").count == 2)
    root.overwrite("proc/stat", stat([(0, 1, 1), (2, 1, 1)]))
    #expect(try lines(render(collector), "node_cpu_online").count == 3)
  }

  @Test func showsNoneOnlineWhereTheFirstCannotBeUnplugged() throws {
    let root = TemporaryDirectory()
    root.write("proc/stat", stat([(0, 1, 1), (1, 1, 1)]))
    root.makeDirectory("sys/devices/system/cpu/cpu0")
    root.write("sys/devices/system/cpu/cpu1/online", "1\n")
    #expect(try lines(render(makeCollector(root)), "node_cpu_online").isEmpty)
  }

  @Test(arguments: [
    ("", []), ("\n", []), ("0", [0]), ("1,3-5,9\n", [1, 3, 4, 5, 9]), ("5-3", []), ("x,2,y-4", [2]), ("1-", [1]),
    ("99999999999999999999", []), ("0-99999999", []), (",,7,,", [7]), ("2 4\t6", [2, 4, 6]),
  ])
  func readsListsOfCPUs(_ list: String, _ cpus: [Int]) { #expect(CPUTopology.cpus(inList: list) == cpus) }

  @Test func showsCpuinfoWhenAsked() throws {
    let root = TemporaryDirectory()
    root.write("proc/stat", stat([(0, 100, 100)]))
    root.write(
      "proc/cpuinfo",
      """
      processor\t: 0
      vendor_id\t: GenuineIntel
      cpu family\t: 6
      model\t\t: 142
      model name\t: A "fast" CPU @ 1.90GHz
      stepping\t: 10
      microcode\t: 0xb4
      cache size\t: 8192 KB
      physical id\t: 0
      core id\t\t: 1
      flags\t\t: fpu aes avx avx2
      bugs\t\t: spectre_v1 mds
      cpu MHz\t\t: 799.998
      power management:

      processor\t: 1

      Hardware\t: no processor here

      """)
    #expect(try lines(render(makeCollector(root)), "node_cpu_info").isEmpty)
    let text = try render(
      makeCollector(root, ["--collector.cpu.info.flags-include=^avx", "--collector.cpu.info.bugs-include=mds"]))
    #expect(
      lines(text, "node_cpu_info") == [
        #"node_cpu_info{cachesize="",core="",cpu="1",family="",microcode="",model="",model_name="","#
          + #"package="",stepping="",vendor=""} 1"#,
        #"node_cpu_info{cachesize="8192 KB",core="1",cpu="0",family="6",microcode="0xb4",model="142","#
          + #"model_name="A \"fast\" CPU @ 1.90GHz",package="0",stepping="10",vendor="GenuineIntel"} 1"#,
      ])
    #expect(
      lines(text, "node_cpu_flag_info") == [
        #"node_cpu_flag_info{flag="avx"} 1"#, #"node_cpu_flag_info{flag="avx2"} 1"#,
      ])
    #expect(
      lines(text, "node_cpu_frequency_hertz") == [
        #"node_cpu_frequency_hertz{core="",cpu="1",package=""} 0"#,
        #"node_cpu_frequency_hertz{core="1",cpu="0",package="0"} 7.99998e+08"#,
      ])
    #expect(lines(text, "node_cpu_bug_info") == [#"node_cpu_bug_info{bug="mds"} 1"#])
    #expect(try lines(render(makeCollector(root, ["--collector.cpu.info"])), "node_cpu_info").count == 2)
    #expect(throws: CollectorConfigurationError.self) {
      try makeCollector(root, ["--collector.cpu.info.flags-include=("])
    }
  }

  @Test func survivesAnything() throws {
    let root = TemporaryDirectory()
    let folder = "sys/devices/system/cpu"
    root.write("proc/stat", stat([(0, 1, 1)]))
    root.write("proc/cpuinfo", "processor: 0\n")
    root.write("\(folder)/cpu0/online", "1\n")
    let collector = try makeCollector(root, ["--collector.cpu.info.flags-include=."])
    var random = SeededGenerator(2)
    for _ in 0..<500 {
      root.overwrite(
        "proc/stat", bytes: mutated(Array(stat([(0, 12, 9), (1, 7, 8), (2, 5, 6)]).utf8), with: &random))
      root.overwrite("proc/cpuinfo", bytes: mutated(Array("processor : 0\nflags: a b\n\n".utf8), with: &random))
      root.overwrite("\(folder)/cpu0/online", bytes: mutated(Array("1\n".utf8), with: &random))
      _ = try? render(collector)
    }
    root.overwrite("proc/stat", stat([(0, 100, 99_999)]))
    root.overwrite("proc/cpuinfo", "")
    #expect(try seconds(render(collector), "idle") == ["0 999.99"])
  }

  @Test(arguments: [
    "cpuX 1 2 3\n", "cpu0 1 two 3\n", "cpu0 -1\n", "cpu0 99999999999999999999\n", "cpu99999999999999999999 1\n",
  ])
  func saysWhatIsMalformed(_ line: String) throws {
    let root = TemporaryDirectory()
    root.write("proc/stat", line)
    #expect(throws: MalformedFile.self) { try render(makeCollector(root)) }
  }
}
