// Feeds collectors mutated files (and, with --parser, parsers mutated expositions: ParserFuzz.swift): a tree of /proc, /sys and the like is copied, then one file at a time is broken in
// some way and the collectors read the tree. What must never happen: a crash, a collector that does not return, memory
// that grows without bound, or an exposition that is not valid text.
//
//     swift run -c release Fuzz --tree DIR --seconds 600 --files proc/mdstat --collector.disable-defaults --collector.mdadm
//
// LogFuzz.swift has the log and what receivers answer, ConfigurationFuzz.swift has configurations. In the collectors' flags {tree} stands for the copy. After a crash the broken file stays in it, to be looked into.

import Bytes
import Exposition
import Flags
import Glibc
import HostMetrics
import Kernel
import Logging
import Synchronization

@main
struct Fuzz {
  private static let tree = Flag("tree", "", "Folder with proc, sys, udev/data below it.")
  private static let files = Flag("files", [String](), "Files and folders below the tree to break; all without it.")
  private static let parser = Flag("parser", "", "Break expositions for this parser (text, openmetrics, protobuf).")
  private static let responses = Flag("responses", false, "Break the answers to an HTTP client.")
  private static let seconds = Flag("seconds", 10, "How long.")
  private static let seed = Flag("seed", 1, "Start of the random numbers.")

  static func main() async throws {
    let run = [
      "log": LogFuzz.runLog, "answers": LogFuzz.runAnswers, "configuration": ConfigurationFuzz.run,
      "dns": DNSFuzz.run, "aws": AWSFuzz.run, "ecs": ECSFuzz.run, "kubernetes": KubernetesFuzz.run,
      "sign": SignCommand.run,
    ][CommandLine.arguments.dropFirst().first ?? ""]
    if let run {
      let flags = try FlagParser([seconds.definition, seed.definition])
        .parse(Array(CommandLine.arguments.dropFirst(2))) { _ throws(FlagError) in [] }
      return try await run(flags[seconds], UInt64(truncatingIfNeeded: flags[seed]))
    }
    let own = [
      tree.definition, files.definition, parser.definition, responses.definition, seconds.definition, seed.definition,
    ]
    let flagParser = FlagParser(own + CollectorRegistry.flags + Host.flags)
    let arguments = try flagParser.parse(Array(CommandLine.arguments.dropFirst())) { _ throws(FlagError) in [] }
    if arguments[responses] {
      return try await ResponseFuzz.run(seconds: arguments[seconds], seed: arguments[seed])
    }
    if !arguments[parser].isEmpty {
      try breakExpositions(for: arguments[parser], seconds: arguments[seconds], seed: arguments[seed])
      return
    }
    guard !arguments[tree].isEmpty else { throw FlagError.missingValue("tree") }

    let copy = try WorkingCopy(of: arguments[tree], breaking: arguments[files])
    var logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .critical
    let flags = try flagParser.parse(
      CommandLine.arguments.dropFirst().map { $0.replacing("{tree}", with: copy.path) } + [
        "--path.procfs=\(copy.path)/proc", "--path.sysfs=\(copy.path)/sys", "--path.rootfs=\(copy.path)",
        "--path.udev.data=\(copy.path)/udev/data",
      ]
    ) { _ throws(FlagError) in [] }
    let subject = Subject(try CollectorRegistry.makeRunner(Host(flags: flags, logger: logger)))
    print("breaking \(copy.files.count) files in \(copy.path), collectors: \(subject.names.joined(separator: ","))")

    var mutator = Mutator(seed: UInt64(truncatingIfNeeded: arguments[seed]))
    let end = MonotonicClock.now + UInt64(max(arguments[seconds], 0)) * 1_000_000_000
    let before = residentKilobytes()
    var rounds = 0
    while MonotonicClock.now < end {
      let file = copy.files[Int(mutator.next(below: copy.files.count))]
      copy.write(mutator.mutate(file.content, beside: copy.files), to: file)
      try subject.scrape()
      copy.write(file.content, to: file)
      rounds += 1
    }
    try subject.scrape()
    copy.remove()
    print(
      "\(rounds) rounds, resident \(before) KiB before, \(residentKilobytes()) KiB after, largest page \(subject.largest) bytes"
    )
  }

  private static func breakExpositions(for name: String, seconds: Int, seed: Int) throws {
    var mutator = Mutator(seed: UInt64(truncatingIfNeeded: seed))
    var fuzz = try ParserFuzz(name)
    let rounds = try fuzz.run(with: &mutator, until: MonotonicClock.now + UInt64(max(seconds, 0)) * 1_000_000_000)
    print("\(rounds) rounds, \(fuzz.accepted) accepted, resident \(residentKilobytes()) KiB")
  }

  static func residentKilobytes() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss
  }
}

/// The collectors, scraped as the exporter scrapes them.
final class Subject {
  private let runner: CollectorRunner
  private let exposition = TextExposition()
  private var page = ByteWriter()
  private(set) var largest = 0
  var names: [String] { runner.names }

  init(_ runner: CollectorRunner) { self.runner = runner }

  struct Fault: Error, CustomStringConvertible { let description: String }

  /// - Throws: when a collector does not return, or what it wrote is no exposition.
  func scrape() throws {
    let answer = Monitor<Gathering?>(nil)
    runner.gather(Array(names.indices), timeout: .seconds(20)) { gathering in
      answer.withLock { $0 = gathering }
      answer.signal()
    }
    let gathering = answer.wait { state, _ in state }
    let summary = MetricWriter()
    let writers = gathering.writers(summary: summary)
    guard writers.count == names.count + 1 else { throw Fault(description: "a collector did not return") }
    page.removeAll()
    exposition.render(writers, into: &page)
    largest = max(largest, page.count)
    try page.withBytes { bytes in
      guard bytes.isUTF8 else { throw Fault(description: "the page is not UTF-8") }
      var text = TextParser(bytes)
      while let entry = try text.next() {
        guard entry == .sample else { continue }
        try text.readSeries()
        try text.readValue()
      }
    }
  }
}

/// A copy of the tree whose files are broken and mended again.
struct WorkingCopy {
  struct File {
    let path: String
    let content: [UInt8]
  }

  let path: String
  private(set) var files: [File] = []

  init(of tree: String, breaking chosen: [String]) throws {
    var template = Array("/dev/shm/pilotfish-fuzz.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw KernelError("create", "/dev/shm/pilotfish-fuzz") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try copy(tree, to: path)
    let prefixes = chosen.isEmpty ? [path] : chosen.map { "\(path)/\($0)" }
    files = files.filter { file in prefixes.contains { file.path.hasPrefix($0) } }
    guard !files.isEmpty else { throw KernelError("find files below", tree, code: ENOENT) }
  }

  private mutating func copy(_ source: String, to target: String) throws {
    for name in try Directory.names(source) {
      let (from, to) = ("\(source)/\(name)", "\(target)/\(name)")
      var status = stat()
      guard lstat(from, &status) == 0 else { continue }
      switch status.st_mode & S_IFMT {
      case S_IFDIR:
        mkdir(to, 0o755)
        try copy(from, to: to)
      case S_IFLNK:
        var link = [CChar](repeating: 0, count: 4096)
        let length = readlink(from, &link, link.count - 1)
        if length > 0 { symlink(link, to) }
      case S_IFREG:
        var content = ByteWriter()
        guard (try? KernelFile(from).read(into: &content)) != nil else { continue }
        let file = File(path: to, content: content.bytes.array)
        write(file.content, to: file)
        files.append(file)
      default: continue
      }
    }
  }

  func remove() { Self.remove(path) }

  private static func remove(_ path: String) {
    for name in (try? Directory.names(path)) ?? [] {
      let entry = "\(path)/\(name)"
      if unlink(entry) != 0 { remove(entry) }
    }
    rmdir(path)
  }

  /// In place: collectors keep files open.
  func write(_ content: [UInt8], to file: File) {
    let descriptor = open(file.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return }
    var written = 0
    content.withUnsafeBytes { bytes in
      while written < bytes.count {
        let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
        guard count > 0 else { return }
        written += count
      }
    }
    close(descriptor)
  }
}

/// Breaks files: random edits, numbers beyond every type, parts of other files.
struct Mutator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  private static let tokens: [[UInt8]] =
    [
      "0", "-1", "18446744073709551615", "18446744073709551616", "9223372036854775808", "-9223372036854775809", "1e309",
      "NaN", "0x", "ffffffffffffffffff", "", " ", "\n", "\n\n", "\t", ":", "=", "[", "]", "(", ")", "/", ",", "\"",
      "\\",
      "\\040", "\0", "%", "#", "{", "}", "é", "cpu", "md0", "eth0", "device", "age:", "total", "\u{feff}",
    ].map { Array($0.utf8) } + [[0xff, 0xfe], [0xc3], [0x80]]

  /// splitmix64
  private mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func next(below bound: Int) -> Int { bound < 1 ? 0 : Int(next() % UInt64(bound)) }

  mutating func mutate(_ content: [UInt8], beside files: [WorkingCopy.File]) -> [UInt8] {
    var bytes = content
    for _ in 0...next(below: 4) {
      let start = next(below: bytes.count + 1)
      let end = min(bytes.count, start + next(below: next(below: 4) == 0 ? bytes.count + 1 : 12))
      switch next(below: 9) {
      case 0: bytes.removeSubrange(start..<end)
      case 1: bytes.insert(contentsOf: bytes[start..<end], at: start)
      case 2, 3: bytes.replaceSubrange(start..<end, with: Self.tokens[next(below: Self.tokens.count)])
      case 4, 5:
        for offset in start..<end { bytes[offset] = UInt8(truncatingIfNeeded: next()) }
      case 6: bytes.removeSubrange(start..<bytes.count)
      case 7:
        let other = files[next(below: files.count)].content
        let from = next(below: other.count + 1)
        bytes.replaceSubrange(start..<end, with: other[from..<min(other.count, from + 200)])
      default:
        guard start < end, next(below: 50) == 0 else { continue }
        let piece = bytes[start..<end]
        for _ in 0..<min(1000, (1 << 20) / piece.count) { bytes.insert(contentsOf: piece, at: start) }
      }
      if bytes.count > 4 << 20 { bytes.removeSubrange((4 << 20)..<bytes.count) }
    }
    return bytes
  }
}
