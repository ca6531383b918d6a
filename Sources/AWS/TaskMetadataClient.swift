// The metadata endpoint of an ECS task, version 4
// (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html): what the task is, and
// Docker's statistics of its containers. It is on the machine itself, and each container has a URL of its own.

import Bytes
import HTTPClient
import NIOCore

/// Asks the endpoint.
public struct TaskMetadataClient: Sendable {
  /// What names the endpoint in the environment of a container.
  public static let variable = "ECS_CONTAINER_METADATA_URI_V4"

  /// What may be asked.
  public enum Question: String, Sendable, CaseIterable {
    case task = "/task"
    case statistics = "/task/stats"
  }

  /// A task of ten containers answers 60 KB.
  private static let bodyLimit = 1 << 20

  private let base: String
  private let client: HTTPClient

  /// - Parameter url: as `ECS_CONTAINER_METADATA_URI_V4` has it.
  /// - Throws: `HTTPURLError` when it is no URL.
  public init(_ url: String, client: HTTPClient) throws {
    base = url.hasSuffix("/") ? String(url.dropLast()) : url
    self.client = client
    _ = try HTTPURL(base)
  }

  /// - Throws: when there is no answer in time, or it is longer than 1 MiB, not a 200 or no JSON.
  public func ask(_ question: Question, within time: Duration) async throws -> JSONValue {
    let request = HTTPRequest(url: try HTTPURL(base + question.rawValue), headers: [("Accept", "application/json")])
    let response: HTTPResponse
    do throws(HTTPClientError) {
      response = try await client.send(
        request, limits: HTTPLimits(timeout: time, bodyBytes: Self.bodyLimit, redirects: 0))
    } catch {
      throw AWSFault(error)
    }
    // The header Date is this machine's own time, so that AWS' clock is not told of it.
    guard response.status == 200 else { throw AWSFault("task metadata \(question.rawValue)", response) }
    do throws(JSONValue.Fault) {
      return try JSONValue(parsing: response.body.readableBytesSpan)
    } catch {
      throw AWSFault("task metadata \(question.rawValue): \(error)")
    }
  }
}
