import Bytes
import Exposition
import HostMetrics
import Kernel
import Logging
import NIOCore
import Scraping
import Synchronization
import Web

/// `/metrics`: what the collectors and the process itself have to show, in the format that the scraper likes best.
final class MetricsPage: CollectedPage {
  private let runner: CollectorRunner
  private let collectors: [String: Int]
  private let requests = ScrapeRequests()
  private let renderer: Mutex<Renderer>
  private let scrapes = Atomic<Int>(0)

  /// - Parameters:
  ///   - sources: what else shows metrics here.
  ///   - showsExporterMetrics: whether process_* and promhttp_* are shown.
  init(runner: CollectorRunner, sources: [any MetricSource], showsExporterMetrics: Bool, logger: Logger) {
    self.runner = runner
    collectors = Dictionary(uniqueKeysWithValues: zip(runner.names, runner.names.indices))
    let sources = sources + (showsExporterMetrics ? [requests] : [])
    renderer = Mutex(
      Renderer(sources: sources, process: showsExporterMetrics ? ProcessMetrics() : nil, logger: logger))
  }

  /// The handler.
  ///
  /// - Parameter maximum: scrapes at once; 0 is no limit.
  func handler(maximum: Int) -> WebHandler {
    requests.counting(RequestLimit(maximum).limiting { [self] request, respond in answer(request, respond) })
  }

  private func answer(_ request: WebRequest, _ respond: @escaping @Sendable (WebResponse) -> Void) {
    let chosen: [Int]
    switch choose(request) {
    case .failure(let refusal): return respond(.text(400, refusal.reason))
    case .success(let collectors): chosen = collectors
    }
    let (format, contentType) = ExpositionFormat.negotiate(accept: request.header("accept"))
    runner.gather(chosen, timeout: request.scrapeTimeout) { [self] gathering in
      let body = renderer.withLock { $0.render(gathering, as: format) }
      // What only the first scrapes run has run now.
      if scrapes.add(1, ordering: .relaxed).newValue == 2 { ProgramText.release() }
      respond(WebResponse(contentType: contentType, body: body))
    }
  }

  /// Collects what the page shows without rendering it.
  func collect(within time: Duration, _ done: @escaping @Sendable (CollectedMetrics) -> Void) {
    runner.gather(Array(runner.names.indices), timeout: time) { [self] gathering in
      done(renderer.withLock { $0.collected(gathering) })
    }
  }

  // MARK: Request

  private struct Refusal: Error { let reason: String }

  /// The collectors that `collect[]` or `exclude[]` leave.
  private func choose(_ request: WebRequest) -> Result<[Int], Refusal> {
    let collect = request.parameters("collect[]")
    let exclude = request.parameters("exclude[]")
    guard collect.isEmpty || exclude.isEmpty else {
      return .failure(Refusal(reason: "Combined collect and exclude queries are not allowed."))
    }
    guard !collect.isEmpty else {
      return .success(runner.names.indices.filter { !exclude.contains(runner.names[$0]) })
    }
    var chosen: Set<Int> = []
    for name in collect {
      guard let index = collectors[name] else {
        let state = CollectorRegistry.names.contains(name) ? "disabled" : "missing"
        return .failure(
          Refusal(
            reason: "Couldn't create filtered metrics handler: couldn't create collector: \(state) collector: \(name)"))
      }
      chosen.insert(index)
    }
    return .success(chosen.sorted())
  }

  // MARK: Rendering

  /// Buffers that every scrape uses again.
  private final class Renderer {
    private let sources: [any MetricSource]
    private let process: ProcessMetrics?
    private let logger: Logger
    private let exposition = TextExposition()
    private let own = MetricWriter()
    private let summary = MetricWriter()
    private var output = ByteWriter(capacity: 64 << 10)
    private var reported: Set<String> = []

    private static let buildInfo = MetricFamily.gauge(
      "node_exporter_build_info",
      "A metric with a constant '1' value labeled by version, revision, branch, goversion from which node_exporter "
        + "was built, and the goos and goarch for the build.",
      ["branch", "goarch", "goos", "goversion", "revision", "tags", "version"])

    init(sources: sending [any MetricSource], process: sending ProcessMetrics?, logger: Logger) {
      self.sources = sources
      self.process = process
      self.logger = logger
    }

    func render(_ gathering: Gathering, as format: ExpositionFormat) -> ByteBuffer {
      own.removeAll()
      summary.removeAll()
      writeOwn(to: own)
      output.removeAll()
      exposition.render([own] + gathering.writers(summary: summary), as: format, into: &output)
      report(exposition.duplicates)
      return output.withUnsafeBytes { ByteBuffer(bytes: $0) }
    }

    /// The same without rendering it, in memory of its own.
    func collected(_ gathering: Gathering) -> CollectedMetrics {
      let own = MetricWriter()
      writeOwn(to: own)
      return CollectedMetrics([own] + gathering.writers(summary: MetricWriter()), of: gathering)
    }

    /// What is not of the collectors.
    private func writeOwn(to own: MetricWriter) {
      own.begin(Self.buildInfo)
      own.label(Version.branch)
      own.label(Version.architecture)
      own.label("linux")
      own.label(Version.compiler)
      own.label(Version.revision)
      own.label("unknown")
      own.label(Version.number)
      own.end(1.0)
      process?.write(to: own)
      for source in sources { source.write(to: own) }
    }

    /// Names each family with refused series once.
    private func report(_ duplicates: [String]) {
      for name in duplicates where reported.insert(name).inserted {
        logger.warning(
          "series refused: one with the same name and labels is there already", metadata: ["family": "\(name)"])
      }
    }
  }
}

extension WebRequest {
  /// What a scrape may take: a tenth less than what the scraper waits, so that the answer reaches it; when it does not
  /// say, a second less than Prometheus' default.
  var scrapeTimeout: Duration {
    guard let text = header("x-prometheus-scrape-timeout-seconds"), let seconds = Double(text), seconds > 0,
      seconds < 86400
    else { return .seconds(9) }
    return .seconds(seconds * 0.9)
  }
}

/// Counts scrapes under the names of client_golang's handler.
private final class ScrapeRequests: MetricSource {
  private static let total = MetricFamily.counter(
    "promhttp_metric_handler_requests_total", "Total number of scrapes by HTTP status code.", ["code"])
  private static let inFlight = MetricFamily.gauge(
    "promhttp_metric_handler_requests_in_flight", "Current number of scrapes being served.")
  private static let errors = MetricFamily.counter(
    "promhttp_metric_handler_errors_total",
    "Total number of internal errors encountered by the promhttp metric handler.", ["cause"])

  private let running = Atomic<Int>(0)
  private let answers = Mutex<[Int: Int]>([200: 0, 500: 0, 503: 0])

  func counting(_ handler: @escaping WebHandler) -> WebHandler {
    { [self] request, respond in
      running.add(1, ordering: .relaxed)
      handler(request) { response in
        self.running.subtract(1, ordering: .relaxed)
        self.answers.withLock { $0[response.status, default: 0] += 1 }
        respond(response)
      }
    }
  }

  func write(to writer: MetricWriter) {
    for (code, count) in answers.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
      writer.begin(Self.total)
      writer.label(code)
      writer.end(Double(count))
    }
    writer.sample(Self.inFlight, Double(running.load(ordering: .relaxed)))
    for cause in ["encoding", "gathering"] {
      writer.begin(Self.errors)
      writer.label(cause)
      writer.end(0.0)
    }
  }
}

/// Sources that come to be after the page that shows them.
final class MetricSources: MetricSource {
  private let sources = Mutex<[any MetricSource]>([])

  func add(_ more: [any MetricSource]) { sources.withLock { $0 += more } }

  func write(to writer: MetricWriter) {
    for source in sources.withLock({ $0 }) { source.write(to: writer) }
  }
}
