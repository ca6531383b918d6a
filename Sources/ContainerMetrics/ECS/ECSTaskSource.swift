import AWS
import Bytes
import Exposition
import Glibc
import Logging
import Synchronization

/// Reads the containers of the task that this process runs in. `/task` and `/task/stats` are asked once for each
/// reading: the ECS agent answers 40 requests a second on a machine, for all its containers.
public final class ECSTaskSource: MetricSource {
  private static let failures = MetricFamily.counter(
    "pilotfish_ecs_metadata_failures_total", "How often the task's metadata endpoint was asked in vain.", ["endpoint"])
  private static let error = MetricFamily.gauge(
    "container_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise")

  private struct State {
    /// What `/task` answered last: it changes seldom, and without it nobody knows what the statistics are of.
    var metadata: JSONValue?
    var ledger = NetworkLedger()
    var failures: [TaskMetadataClient.Question: Int] = [:]
    /// Those that failed last time, so that a lasting fault is logged once.
    var failing: Set<TaskMetadataClient.Question> = []
  }

  private let client: TaskMetadataClient
  private let log: Logger
  private let state = Mutex(State())

  public init(_ client: TaskMetadataClient, log: Logger) {
    self.client = client
    self.log = log
  }

  /// Reads all; what cannot be read is left out, counted and logged. Nil: nothing is known of the task yet.
  public func read(within time: Duration) async -> ECSReading? {
    async let task = ask(.task, within: time)
    async let answer = ask(.statistics, within: time)
    let (metadata, statistics) = (await task, await answer)
    return state.withLock { state in
      state.metadata = metadata ?? state.metadata
      guard let metadata = state.metadata,
        let task = ECSTask(metadata, statistics: statistics, at: Self.now(), device: BlockDevice.path)
      else { return nil }
      return state.ledger.read(task)
    }
  }

  private func ask(_ question: TaskMetadataClient.Question, within time: Duration) async -> JSONValue? {
    do {
      let answer = try await client.ask(question, within: time)
      guard case .object = answer else { throw NoObject(question: question) }
      if state.withLock({ $0.failing.remove(question) }) != nil {
        log.info("The task's metadata endpoint answers again", metadata: ["endpoint": "\(question.rawValue)"])
      }
      return answer
    } catch {
      let isNews = state.withLock { state in
        state.failures[question, default: 0] += 1
        return state.failing.insert(question).inserted
      }
      if isNews {
        log.warning(
          "No container metrics from the task's metadata endpoint",
          metadata: ["endpoint": "\(question.rawValue)", "err": "\(error)"])
      }
      return nil
    }
  }

  /// How the endpoint has answered so far.
  public func write(to writer: MetricWriter) {
    let (failures, isFailing) = state.withLock { ($0.failures, !$0.failing.isEmpty) }
    writer.sample(Self.error, isFailing ? 1.0 : 0)
    for question in TaskMetadataClient.Question.allCases {
      writer.begin(Self.failures)
      writer.label(question.rawValue)
      writer.end(Double(failures[question] ?? 0))
    }
  }

  /// Seconds since the epoch.
  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// An answer such as `"task not found"`.
private struct NoObject: Error, CustomStringConvertible {
  let question: TaskMetadataClient.Question
  var description: String { "task metadata \(question.rawValue): the answer is no JSON object" }
}
