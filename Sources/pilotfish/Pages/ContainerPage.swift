import AWS
import Bytes
import ContainerMetrics
import Exposition
import Flags
import Glibc
import HTTPClient
import Logging
import NIOCore
import Scraping
import Synchronization
import Web

/// `/metrics/cadvisor`: containers, under cAdvisor's names. In an ECS task they are those of the task.
final class ContainerPage: Sendable {
  static let path = "/metrics/cadvisor"
  static let ecsExporterNames = Flag(
    "container.ecs-exporter-names", false,
    "Show the containers of an ECS task on \(path) under the names of ecs_exporter, too.")
  static let flags = [ecsExporterNames.definition]

  private let task: ECSTaskSource
  private let showsECSExporterNames: Bool
  private let renderer = Mutex(Renderer())

  /// Nil outside of an ECS task.
  ///
  /// - Parameter client: asks the task's metadata endpoint.
  /// - Throws: when the environment names an endpoint that cannot be asked.
  init?(_ flags: FlagValues, client: () -> HTTPClient, logger: Logger) throws {
    guard let url = Self.endpoint else { return nil }
    do {
      task = ECSTaskSource(try TaskMetadataClient(url, client: client()), log: logger)
    } catch {
      throw UnusableEndpoint(reason: "\(error)")
    }
    showsECSExporterNames = flags[Self.ecsExporterNames]
  }

  private static var endpoint: String? {
    guard let text = getenv(TaskMetadataClient.variable), text[0] != 0 else { return nil }
    return String(cString: text)
  }

  /// What answers the page where there is nothing to show.
  static let absence: WebHandler = { _, respond in
    respond(.text(404, "No container metrics: \(TaskMetadataClient.variable) is not set, so this is no ECS task."))
  }

  /// The handler.
  ///
  /// - Parameter maximum: scrapes at once; 0 is no limit.
  func handler(maximum: Int) -> WebHandler {
    RequestLimit(maximum).limiting { [self] request, respond in
      let (format, contentType) = ExpositionFormat.negotiate(accept: request.header("accept"))
      Task {
        let reading = await task.read(within: request.scrapeTimeout)
        let body = renderer.withLock { renderer in
          renderer.output.removeAll()
          renderer.exposition.render([write(reading, by: renderer)], as: format, into: &renderer.output)
          return renderer.output.withUnsafeBytes { ByteBuffer(bytes: $0) }
        }
        respond(WebResponse(contentType: contentType, body: body))
      }
    }
  }

  private func write(_ reading: ECSReading?, by renderer: Renderer) -> MetricWriter {
    let writer = MetricWriter()
    if let reading {
      renderer.containers.write(reading.containers, to: writer)
      if showsECSExporterNames { ECSExporterNames.write(reading, to: writer) }
    }
    task.write(to: writer)
    return writer
  }

  /// What every scrape uses again.
  private final class Renderer {
    var containers = ContainerWriter()
    let exposition = TextExposition()
    var output = ByteWriter(capacity: 16 << 10)
  }
}

extension ContainerPage: CollectedPage {
  func collect(within time: Duration, _ done: @escaping @Sendable (CollectedMetrics) -> Void) {
    Task {
      let reading = await task.read(within: time)
      done(renderer.withLock { CollectedMetrics([write(reading, by: $0)], of: self) })
    }
  }
}

private struct UnusableEndpoint: Error, CustomStringConvertible {
  let reason: String
  var description: String { "\(TaskMetadataClient.variable): \(reason)" }
}
