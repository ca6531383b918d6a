// Questions to the API server of Kubernetes (https://kubernetes.io/docs/reference/using-api/api-concepts/): lists and
// watches of objects.

import Bytes
import Exposition
import HTTPClient
import NIOCore

/// Which objects are asked for, and of whom. Who asks the same shares the answer.
struct KubernetesQuery: Hashable, Sendable {
  var server: KubernetesServer
  var resource: KubernetesResource
  /// Empty: those of all namespaces.
  var namespace = ""
  var labelSelector = ""
  var fieldSelector = ""

  /// The path below the server's URL.
  var path: String {
    let scope = namespace.isEmpty || resource.isOfCluster ? "" : "/namespaces/\(namespace)"
    return "\(resource.group)\(scope)/\(resource.rawValue)"
  }

  func url(_ parameters: [(name: String, value: String)]) throws(HTTPURLError) -> HTTPURL {
    let selectors = [(name: "labelSelector", value: labelSelector), (name: "fieldSelector", value: fieldSelector)]
    let query = (parameters + selectors).filter { !$0.value.isEmpty }.map {
      "\($0.name)=\($0.value.utf8.percentEncoded())"
    }
    return try HTTPURL("\(server.url)\(path)?\(query.joined(separator: "&"))")
  }
}

/// Why a list or a watch did not come about, or has ended.
struct KubernetesFailure: Error {
  var reason: String
  /// Whether the server does not know the version any more, or not yet: what it has now must be listed.
  var isGone = false
  /// How long the server wants to be left alone.
  var retryAfter: Duration = .zero
}

struct KubernetesClient: Sendable {
  static let requests = MetricFamily.counter(
    "prometheus_sd_kubernetes_http_request_total",
    "Total number of HTTP requests to the Kubernetes API by status code.",
    ["status_code"])
  static let durations = MetricFamily(
    "prometheus_sd_kubernetes_http_request_duration_seconds", .summary,
    "Summary of latencies for HTTP requests to the Kubernetes API by endpoint.", labels: ["endpoint"])

  let query: KubernetesQuery
  private let access: HTTPAccess
  private let environment: DiscoveryEnvironment

  init(_ query: KubernetesQuery, _ access: HTTPAccess, _ environment: DiscoveryEnvironment) {
    self.query = query
    self.access = access
    self.environment = environment
  }

  /// Sends a request and gives its answer as it comes, until there is no more or `onPart` is false.
  func stream(
    _ parameters: [(name: String, value: String)], timeout: Duration, idleTimeout: Duration,
    onPart: @escaping @Sendable (ByteBuffer) -> Bool
  ) async throws(KubernetesFailure) {
    let url: HTTPURL
    do throws(HTTPURLError) {
      url = try query.url(parameters)
    } catch {
      throw KubernetesFailure(reason: "\(error)")
    }
    let request = HTTPRequest(
      url: url,
      headers: [
        ("User-Agent", environment.userAgent), ("Accept", "application/json"), ("Accept-Encoding", "gzip"),
      ], access: access)
    let limits = HTTPLimits(
      timeout: timeout, bodyBytes: .max, redirects: access.options.followsRedirects ? 10 : 0, idleTimeout: idleTimeout)
    let answer = await answer(request, limits, onPart)
    switch answer {
    case nil: return
    case .failure(let error):
      environment.metrics.count(Self.requests, ["<error>"])
      throw KubernetesFailure(reason: error.reason)
    case .success(let response):
      environment.metrics.count(Self.requests, ["\(response.status)"])
      if response.status != 200 { throw failure(response) }
    }
  }

  /// Counts how long a list took.
  func observe(_ time: Duration) { environment.metrics.observe(Self.durations, [query.path], time) }

  /// Nil when `onPart` ended it, or the task was cancelled.
  private func answer(
    _ request: HTTPRequest, _ limits: HTTPLimits, _ onPart: @escaping @Sendable (ByteBuffer) -> Bool
  ) async -> Result<HTTPResponse, HTTPClientError>? {
    let (stops, stop) = AsyncStream.makeStream(of: Void.self)
    return await withTaskGroup(of: Result<HTTPResponse, HTTPClientError>?.self) { group in
      group.addTask {
        do throws(HTTPClientError) {
          return .success(
            try await environment.client.send(request, limits: limits) { part in
              if !onPart(part) { stop.yield() }
            })
        } catch {
          return .failure(error)
        }
      }
      group.addTask {
        for await _ in stops { break }
        return nil
      }
      let first = await group.next()
      group.cancelAll()
      return first.flatMap(\.self)
    }
  }

  private func failure(_ response: HTTPResponse) -> KubernetesFailure {
    var json = JSONReader(response.body.readableBytesSpan)
    let status = try? APIStatus(&json)
    var reason = "HTTP status \(response.status)"
    if let message = status?.message, !message.isEmpty { reason += ": \(message.prefix(500))" }
    if response.status == 403 {
      reason += "; give the account a role with the verbs list and watch for \(query.resource.rawValue)"
    }
    let seconds = response.header("retry-after").flatMap { Int64($0) } ?? status?.retryAfter ?? 0
    // 504: the server does not have the version yet that another one gave.
    return KubernetesFailure(
      reason: reason, isGone: response.status == 410 || response.status == 504,
      retryAfter: .seconds(min(max(seconds, 0), 60)))
  }
}
