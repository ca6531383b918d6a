import Bytes
import Exposition
import TestSupport
import Testing

@testable import ContainerMetrics

@Suite struct ECSTests {
  @Test(arguments: zip([Answers.fargate, .bridge], [Golden.fargate, Golden.bridge]))
  func showsCAdvisorsMetrics(_ answers: Answers, _ golden: String) throws {
    var ledger = NetworkLedger()
    let reading = try #require(try answers.read(&ledger))
    #expect(shortened(page(reading)) == golden)
  }

  @Test(arguments: zip([Answers.fargate, .bridge], [Golden.fargateECS, Golden.bridgeECS]))
  func showsECSExportersMetrics(_ answers: Answers, _ golden: String) throws {
    var ledger = NetworkLedger()
    let reading = try #require(try answers.read(&ledger))
    #expect(page(reading, cAdvisor: false, ecsExporter: true) == golden)
  }

  // MARK: Networks

  /// A counter of the task goes back neither when the container with the newer reading stops, nor with it.
  @Test func sharedCountersNeverGoBack() throws {
    var ledger = NetworkLedger()
    var answers = Answers.fargate
    #expect(try answers.read(&ledger)?.interfaces.map(\.received.bytes) == [950])
    answers.statistics = answers.statistics.replacing("\"t1-3\": {", with: "\"gone\": {")
    let reading = try #require(try answers.read(&ledger))
    #expect(reading.interfaces.map(\.received.bytes) == [950])
    #expect(reading.containers.map(\.id) == ["/ecs/t1/t1-2", "/ecs/t1"])
    #expect(reading.containers.map(\.networks.count) == [0, 1])
  }

  @Test func aContainerThatStopsLeavesItsCountersToTheTask() throws {
    var ledger = NetworkLedger()
    var answers = Answers.bridge
    #expect(try answers.read(&ledger)?.interfaces.map(\.received.bytes) == [1500])
    answers.statistics = answers.statistics.replacing("\"d2\": {", with: "\"d2\": {}, \"gone\": {")
    let reading = try #require(try answers.read(&ledger))
    #expect(reading.interfaces.map(\.received.bytes) == [1500])
    #expect(reading.containers.map(\.id) == ["/ecs/t2/d1", "/ecs/t2"])
  }

  // MARK: Damage

  @Test(arguments: ["null", "{}", "[]", #""no such task""#, "7"])
  func withoutStatisticsTheTaskIsShown(_ statistics: String) throws {
    var ledger = NetworkLedger()
    var answers = Answers.fargate
    answers.statistics = statistics
    let reading = try #require(try answers.read(&ledger))
    #expect(reading.containers.map(\.id) == ["/ecs/t1"])
    let text = page(reading, ecsExporter: true)
    #expect(text.contains("ecs_task_cpu_limit_vcpus 0.5\n"))
    #expect(!text.contains("container_cpu_usage") && !text.contains("network"))
  }

  @Test(arguments: ["null", "[]", #""task not found""#, "7"])
  func withoutMetadataThereIsNothing(_ task: String) throws {
    var ledger = NetworkLedger()
    var answers = Answers.fargate
    answers.task = task
    #expect(try answers.read(&ledger) == nil)
  }

  /// Each member of the answers in turn is missing, null, or of another type: what depends on it is not shown, and the
  /// page is valid.
  @Test func anyMemberMayBeDamaged() throws {
    let answers = Answers.fargate
    let wrong: [JSONValue?] = [
      nil, .null, .number(1e300), .string("\u{0}\n\"\\ü"),
      .array([.object([JSONValue.Member(name: "", value: .null)]), .array([])]),
    ]
    let task = try JSONValue(answers.task)
    let statistics = try JSONValue(answers.statistics)
    var rounds = 0
    var containers = ContainerWriter()
    func check(_ task: JSONValue, _ statistics: JSONValue) throws {
      rounds += 1
      guard let task = ECSTask(task, statistics: statistics, at: 1, device: { "\($0):\($1)" }) else { return }
      var ledger = NetworkLedger()
      let text = page(ledger.read(task), by: &containers, ecsExporter: true)
      try #require(isExposition(text), "\(text)")
    }
    // Missing and null everywhere, and one of the others in turn.
    func values(_ index: Int) -> [JSONValue?] { [wrong[0], wrong[1], wrong[2 + index % (wrong.count - 2)]] }
    for index in 0..<task.size {
      for value in values(index) { try check(try #require(task.replacing(index, by: value)), statistics) }
    }
    for index in 0..<statistics.size {
      for value in values(index) { try check(task, try #require(statistics.replacing(index, by: value))) }
    }
    #expect(rounds > 400)
  }

  @Test func whatIsTooMuchIsLeftOut() throws {
    func joined(_ count: Int, _ element: (Int) -> String) -> String { (0..<count).map(element).joined(separator: ",") }
    var ledger = NetworkLedger()
    var answers = Answers.fargate
    let labels = joined(300) { #""l\#($0)": "x""# }
    let containers = joined(300) { #"{"DockerId": "\#($0)", "Labels": {\#(labels)}}"# }
    answers.task = #"{"TaskARN": "t", "Containers": [\#(containers)]}"#
    let disks = joined(300) { #"{"major": \#($0), "minor": 0, "op": "read", "value": 1}"# }
    let networks = joined(300) { #""eth\#($0)": {"rx_bytes": 1}"# }
    answers.statistics =
      #"{"7": {"networks": {\#(networks)}, "blkio_stats": {"io_service_bytes_recursive": [\#(disks)]}}}"#
    let reading = try #require(try answers.read(&ledger))
    #expect(reading.task.containers.count == 100)
    let container = try #require(reading.containers.first)
    #expect([container.labels.count, container.disks.count, reading.interfaces.count] == [202, 200, 100])
  }

  @Test func noTextCrashesIt() throws {
    var random = SeededGenerator(7)
    for _ in 0..<fuzzRounds {
      let metadata = mutated(Array(Answers.fargate.task.utf8), with: &random)
      let statistics = mutated(Array(Answers.fargate.statistics.utf8), with: &random)
      guard let task = try? JSONValue(parsing: metadata.span.bytes),
        let read = ECSTask(
          task, statistics: try? JSONValue(parsing: statistics.span.bytes), at: 1, device: { "\($0):\($1)" })
      else { continue }
      var ledger = NetworkLedger()
      #expect(isExposition(page(ledger.read(read), ecsExporter: true)))
    }
  }
}

/// Whether a parser reads the text to its end.
private func isExposition(_ text: String) -> Bool {
  let bytes = Array(text.utf8)
  var parser = TextParser(bytes.span.bytes)
  do throws(ExpositionError) {
    while let entry = try parser.next() {
      guard entry == .sample else { continue }
      try parser.readSeries()
      try parser.readValue()
    }
    return true
  } catch {
    return false
  }
}

extension JSONValue {
  fileprivate init(_ text: String) throws {
    let bytes = Array(text.utf8)
    try self.init(parsing: bytes.span.bytes)
  }

  /// The number of values in this one, itself included.
  fileprivate var size: Int {
    switch self {
    case .array(let elements): 1 + elements.map(\.size).reduce(0, +)
    case .object(let members): 1 + members.map(\.value.size).reduce(0, +)
    default: 1
    }
  }

  /// This with another value in the place of one in it, counted from the front; nil takes it away.
  fileprivate func replacing(_ index: Int, by value: JSONValue?) -> JSONValue? {
    guard index > 0 else { return value ?? .null }
    var rest = index - 1
    func replaced(_ old: JSONValue) -> JSONValue? {
      defer { rest -= old.size }
      return rest >= 0 && rest < old.size ? (rest == 0 ? value : old.replacing(rest, by: value)) : old
    }
    switch self {
    case .array(let elements): return .array(elements.compactMap { replaced($0) })
    case .object(let members):
      return .object(
        members.compactMap { member in replaced(member.value).map { Member(name: member.name, value: $0) } })
    default: return self
    }
  }
}
