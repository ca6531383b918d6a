import Bytes
import Exposition
import Glibc
import Kernel
import Logging
import Testing

@testable import HostMetrics

/// A door that collectors wait at, and who waits there. Only the test and the fake collectors use it.
private final class Gate: Sendable {
  struct State {
    var isOpen: Bool
    var runs = 0
    var inside = 0
    var mostInside = 0
  }

  private let state: Monitor<State>

  init(isOpen: Bool = false) { state = Monitor(State(isOpen: isOpen)) }

  /// Waits for the door to open, as a system call may that hangs.
  func pass() {
    state.withLock { state in
      state.runs += 1
      state.inside += 1
      state.mostInside = max(state.mostInside, state.inside)
    }
    state.signal()
    _ = state.wait { state, _ in state.isOpen ? true : nil }
    state.withLock { $0.inside -= 1 }
    state.signal()
  }

  func open() {
    state.withLock { $0.isOpen = true }
    state.signal()
  }

  /// How often a collector came to the door.
  var runs: Int { state.withLock { $0.runs } }
  /// The most collectors that were behind the door at once.
  var mostInside: Int { state.withLock { $0.mostInside } }

  func waitForRuns(_ count: Int) { _ = state.wait { state, _ in state.runs >= count ? true : nil } }
}

/// A collector that waits at a gate, then writes how often it ran, then fails if it shall.
private final class FakeCollector: Collector {
  static let name = "fake"
  private static let runs = MetricFamily.gauge("node_fake_runs", "Runs.", ["collector"])

  private let label: String
  private let gate: Gate
  private let failure: (any Error)?
  private var count = 0

  init(_ label: String, _ gate: Gate, failing failure: (any Error)? = nil) {
    (self.label, self.gate, self.failure) = (label, gate, failure)
  }

  init(_ host: Host) { (label, gate, failure) = ("", Gate(isOpen: true), nil) }

  func collect(into writer: MetricWriter) throws {
    gate.pass()
    count += 1
    writer.begin(Self.runs)
    writer.label(label)
    writer.end(Double(count))
    if let failure { throw failure }
  }
}

/// The answers that came, in their order.
private final class Answers: Sendable {
  private let state = Monitor<[Gathering]>([])

  func add(_ gathering: Gathering) {
    state.withLock { $0.append(gathering) }
    state.signal()
  }

  /// Waits for the first `count` answers; fewer come back when they do not come within a minute.
  func first(_ count: Int) -> [Gathering] {
    let end = MonotonicClock.now + 60_000_000_000
    return state.wait { answers, deadline in
      deadline = end
      return answers.count >= count || MonotonicClock.now >= end ? answers : nil
    }
  }
}

private let short = Duration.milliseconds(300)
private let long = Duration.seconds(600)

private func makeRunner(_ collectors: [(name: String, collector: any Collector)]) -> CollectorRunner {
  CollectorRunner(collectors, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
}

extension CollectorRunner {
  /// One scrape, waited for.
  fileprivate func scrape(_ collectors: [Int], timeout: Duration) -> Gathering? {
    let answers = Answers()
    gather(collectors, timeout: timeout, completion: answers.add)
    return answers.first(1).first
  }
}

/// Collectors and whether they succeeded, in the order of the scrape.
private func successes(_ gathering: Gathering?) -> [String] {
  (gathering?.entries ?? []).map { "\($0.collector) \($0.result?.isSuccess == true ? 1 : 0)" }
}

private func samples(_ gathering: Gathering?) -> [String] { lines(exposition(gathering), "node_fake_runs") }

private func exposition(_ gathering: Gathering?) -> String {
  guard let gathering else { return "" }
  var output = ByteWriter()
  TextExposition().render(gathering.writers(summary: MetricWriter()), into: &output)
  return String(utf8: output.bytes)
}

private func run(_ label: String, _ count: Int) -> String { #"node_fake_runs{collector="\#(label)"} \#(count)"# }

@Suite struct CollectorRunnerTests {
  @Test func answersWhatTheCollectorsGave() {
    let gate = Gate(isOpen: true)
    let runner = makeRunner([("a", FakeCollector("a", gate)), ("b", FakeCollector("b", gate))])
    #expect(runner.names == ["a", "b"])
    let both = runner.scrape([0, 1], timeout: long)
    #expect(successes(both) == ["a 1", "b 1"])
    #expect(samples(both) == [run("a", 1), run("b", 1)])
    #expect(lines(exposition(both), "node_scrape_collector_duration_seconds").count == 2)
    #expect(
      lines(exposition(both), "node_scrape_collector_success") == [
        #"node_scrape_collector_success{collector="a"} 1"#, #"node_scrape_collector_success{collector="b"} 1"#,
      ])
    // What was handed out stays as it was.
    let one = runner.scrape([1], timeout: long)
    #expect(successes(one) == ["b 1"])
    #expect(samples(one) == [run("b", 2)])
    #expect(samples(both) == [run("a", 1), run("b", 1)])
  }

  @Test func answersAnEmptySelection() {
    let runner = makeRunner([("a", FakeCollector("a", Gate(isOpen: true)))])
    let nothing = runner.scrape([], timeout: long)
    #expect(nothing?.entries.isEmpty == true)
    #expect(exposition(nothing).isEmpty)
  }

  @Test func keepsWhatAFailingCollectorWrote() {
    let gate = Gate(isOpen: true)
    let runner = makeRunner([
      ("absent", FakeCollector("absent", gate, failing: NoData("none of it here"))),
      ("broken", FakeCollector("broken", gate, failing: MalformedFile("/proc/x", "expected a number"))),
      ("fine", FakeCollector("fine", gate)),
    ])
    for count in 1...3 {
      let gathering = runner.scrape([0, 1, 2], timeout: long)
      #expect(successes(gathering) == ["absent 0", "broken 0", "fine 1"])
      #expect(samples(gathering) == ["absent", "broken", "fine"].map { run($0, count) })
    }
  }

  @Test(arguments: 0..<3) func doesWithoutACollectorThatHangs(at place: Int) {
    let (stuck, free) = (Gate(), Gate(isOpen: true))
    let names = ["a", "b", "c"]
    let runner = makeRunner(
      names.enumerated().map { index, name in (name, FakeCollector(name, index == place ? stuck : free)) })
    let gathering = runner.scrape([0, 1, 2], timeout: short)
    #expect(successes(gathering) == names.enumerated().map { "\($1) \($0 == place ? 0 : 1)" })
    #expect(samples(gathering) == names.filter { $0 != names[place] }.map { run($0, 1) })

    // While it hangs nobody waits for it, and it is not run a second time.
    let next = runner.scrape([0, 1, 2], timeout: long)
    #expect(successes(next) == names.enumerated().map { "\($1) \($0 == place ? 0 : 1)" })
    #expect(successes(runner.scrape([place], timeout: long)) == ["\(names[place]) 0"])
    #expect(stuck.runs == 1)
    #expect(samples(gathering) == names.filter { $0 != names[place] }.map { run($0, 1) })

    stuck.open()
    #expect(recovers(runner, place))
    #expect(stuck.mostInside == 1)
  }

  /// Whether the collector answers again; for a short while after it returns it may still count as late.
  private func recovers(_ runner: CollectorRunner, _ collector: Int) -> Bool {
    for _ in 0..<100_000 where runner.scrape([collector], timeout: long)?.entries.first?.result?.isSuccess == true {
      return true
    }
    return false
  }

  @Test func makesNoThreadsWhileACollectorHangs() {
    let (stuck, free) = (Gate(), Gate(isOpen: true))
    let runner = makeRunner([("stuck", FakeCollector("stuck", stuck)), ("free", FakeCollector("free", free))])
    #expect(successes(runner.scrape([0, 1], timeout: short)) == ["stuck 0", "free 1"])
    let before = collectorThreads()
    for count in 2...200 {
      let gathering = runner.scrape([0, 1], timeout: long)
      #expect(successes(gathering) == ["stuck 0", "free 1"])
      #expect(samples(gathering) == [run("free", count)])
    }
    // Other tests' runners share the process: the bound is loose, but far below one thread a scrape.
    #expect(collectorThreads() < before + 50)
    #expect(stuck.runs == 1)
    stuck.open()
    #expect(recovers(runner, 0))
  }

  /// The threads of this process that bear the runner's names.
  private func collectorThreads() -> Int {
    let tasks = (try? Directory.names("/proc/self/task")) ?? []
    return tasks.filter { task in
      var name = ByteWriter()
      guard (try? KernelFile("/proc/self/task/\(task)/comm").read(into: &name)) != nil else { return false }
      return String(utf8: name.bytes).hasPrefix("collectors")
    }.count
  }

  @Test func answersWhenAllHang() {
    let gates = [Gate(), Gate(), Gate()]
    let runner = makeRunner(gates.enumerated().map { ("\($0)", FakeCollector("\($0)", $1)) })
    // Each scrape gets to as many as its deadline leaves room for; in the end all of them hang.
    while gates.contains(where: { $0.runs == 0 }) {
      #expect(successes(runner.scrape([0, 1, 2], timeout: short)) == ["0 0", "1 0", "2 0"])
    }
    #expect(successes(runner.scrape([0, 1, 2], timeout: short)) == ["0 0", "1 0", "2 0"])
    #expect(gates.map(\.runs) == [1, 1, 1])
    gates[1].open()
    #expect(recovers(runner, 1))
    #expect(successes(runner.scrape([0, 1, 2], timeout: long)) == ["0 0", "1 1", "2 0"])
    gates[0].open()
    gates[2].open()
    for place in 0..<3 { #expect(recovers(runner, place)) }
    #expect(gates.map(\.mostInside) == [1, 1, 1])
  }

  @Test func sharesARunThatIsUnderWay() {
    let gate = Gate()
    let runner = makeRunner([("a", FakeCollector("a", gate)), ("b", FakeCollector("b", Gate(isOpen: true)))])
    let answers = Answers()
    runner.gather([0], timeout: long, completion: answers.add)
    gate.waitForRuns(1)
    runner.gather([0, 1], timeout: long, completion: answers.add)
    runner.gather([0], timeout: long, completion: answers.add)
    // The other collector goes on meanwhile.
    #expect(successes(runner.scrape([1], timeout: long)) == ["b 1"])
    gate.open()
    let gatherings = answers.first(3)
    #expect(gatherings.count == 3)
    for gathering in gatherings { #expect(successes(gathering).first == "a 1") }
    #expect(gate.mostInside == 1)
  }

  @Test func answersManyAtOnce() {
    let gate = Gate(isOpen: true)
    let runner = makeRunner([("a", FakeCollector("a", gate)), ("b", FakeCollector("b", gate))])
    let answers = Answers()
    for index in 0..<200 { runner.gather(index % 3 == 0 ? [0] : [0, 1], timeout: long, completion: answers.add) }
    let gatherings = answers.first(200)
    #expect(gatherings.count == 200)
    for gathering in gatherings { #expect(successes(gathering).allSatisfy { $0.hasSuffix(" 1") }) }
    #expect(gate.mostInside == 1)
  }

  /// Of the threads with these names the first few cannot be started.
  @Test(arguments: [
    ["collectors": 1], ["collectors": 3], ["watchdog": 1], ["watchdog": 2, "collectors": 2],
    ["watchdog": 1, "collectors": 1],
  ])
  func startsThreadsAgain(_ failures: [String: Int]) {
    let left = Monitor(failures)
    let runner = CollectorRunner(
      [("a", FakeCollector("a", Gate(isOpen: true)))], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { name, body throws(KernelError) in
      let fails = left.withLock { left in
        left[name, default: 0] -= 1
        return left[name, default: 0] >= 0
      }
      if fails { throw KernelError("pthread_create", name, code: EAGAIN) }
      try KernelThread.start(name, body)
    }
    // Each scrape is answered, if without a result; in the end there is one.
    #expect(recovers(runner, 0))
  }

  /// A scrape that joins an earlier one must not wait for that one's longer deadline.
  @Test func keepsAShorterDeadline() {
    let (first, second) = (Gate(), Gate())
    let runner = makeRunner([("a", FakeCollector("a", first)), ("b", FakeCollector("b", second))])
    let (slow, quick) = (Answers(), Answers())
    runner.gather([0], timeout: long, completion: slow.add)
    first.waitForRuns(1)
    runner.gather([1], timeout: long, completion: slow.add)
    runner.gather([1], timeout: short, completion: quick.add)
    #expect(successes(quick.first(1).first) == ["b 0"])
    first.open()
    second.open()
    #expect(slow.first(2).flatMap(successes).sorted() == ["a 1", "b 1"])
  }

  @Test(arguments: [Duration.seconds(Int64.max), .seconds(18_446_744_073), .seconds(9_000_000_000)])
  func takesAnyLongTimeout(_ timeout: Duration) {
    let gate = Gate()
    let runner = makeRunner([("a", FakeCollector("a", gate))])
    let (patient, hasty) = (Answers(), Answers())
    runner.gather([0], timeout: timeout, completion: patient.add)
    gate.waitForRuns(1)
    runner.gather([0], timeout: short, completion: hasty.add)
    #expect(successes(hasty.first(1).first) == ["a 0"])
    gate.open()
    #expect(successes(patient.first(1).first) == ["a 1"])
  }

  @Test(arguments: [Duration.zero, .seconds(-1), .seconds(Int64.min), .nanoseconds(-1)])
  func answersAtOnceWithoutTime(_ timeout: Duration) {
    let gate = Gate()
    let runner = makeRunner([("a", FakeCollector("a", gate))])
    #expect(successes(runner.scrape([0], timeout: timeout)) == ["a 0"])
    gate.open()
    #expect(recovers(runner, 0))
  }
}
