// Two of the ways in which AWS' services are asked: the Query API of EC2
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html), which answers in XML, and JSON 1.1
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html), as ECS has it.

import Bytes
import HTTPClient
import NIOCore

/// Asks one service in one region.
package struct ServiceClient: Sendable {
  private let service: String
  private let options: CredentialOptions
  /// Empty: the region's.
  private let endpoint: String
  private let access: HTTPAccess
  private let environment: AWSEnvironment
  private let signer: RequestSigner

  /// - Parameters:
  ///   - service: as it signs and as its host is named: `ec2`, `ecs`.
  ///   - access: nil: as the environment has it.
  package init(
    _ service: String, _ options: CredentialOptions, endpoint: String, access: HTTPAccess?, _ accounts: AWSAccounts
  ) {
    self.service = service
    self.options = options
    self.endpoint = endpoint
    environment = accounts.environment
    self.access = access ?? environment.access
    signer = accounts.signer(options, service: service, region: options.region.isEmpty ? nil : options.region)
  }

  /// The region that is asked; at the start it waits until the credentials' chain has looked for it.
  ///
  /// - Throws: when nothing says it.
  package func region() async throws -> String {
    if !options.region.isEmpty { return options.region }
    await signer.provider.firstRefresh()
    guard let region = signer.provider.region else {
      throw AWSFault("no region: set region, or AWS_REGION in the environment")
    }
    return region
  }

  /// Asks the Query API.
  ///
  /// - Throws: when there are no credentials, no answer, or one that is no success.
  package func query(
    _ action: String, version: String, _ parameters: [(name: String, value: String)]
  ) async throws -> XMLElement {
    let body = try await post(
      action, contentType: "application/x-www-form-urlencoded; charset=utf-8", headers: [],
      form([("Action", action), ("Version", version)] + parameters))
    do throws(XMLElement.Fault) {
      return try XMLElement(parsing: body.span.bytes)
    } catch {
      throw AWSFault("\(action): \(error)")
    }
  }

  /// Asks by JSON 1.1.
  ///
  /// - Parameter target: what `X-Amz-Target` says in front of the action.
  package func call(_ action: String, target: String, _ input: [(name: String, value: JSONValue)]) async throws
    -> JSONValue
  {
    let object = JSONValue.object(input.map { JSONValue.Member(name: $0.name, value: $0.value) })
    let body = try await post(
      action, contentType: "application/x-amz-json-1.1", headers: [("X-Amz-Target", "\(target).\(action)")],
      ByteBuffer(string: object.written))
    do throws(JSONValue.Fault) {
      return try JSONValue(parsing: body.span.bytes)
    } catch {
      throw AWSFault("\(action): \(error)")
    }
  }

  private func post(
    _ action: String, contentType: String, headers: [(name: String, value: String)], _ body: ByteBuffer
  ) async throws -> [UInt8] {
    _ = try await signer.provider.credentials()
    let region = try await region()
    let url = endpoint.isEmpty ? try environment.endpoint(service, region: region) : try environment.url(endpoint)
    var request = HTTPRequest(
      method: "POST", url: url, headers: [("Content-Type", contentType), ("Accept-Encoding", "gzip")] + headers,
      body: body, access: access)
    try signer.sign(&request)
    let response: HTTPResponse
    do throws(HTTPClientError) {
      response = try await environment.client.send(request, limits: AWSEnvironment.limits)
    } catch {
      throw AWSFault(error)
    }
    signer.answered(response)
    guard response.status == 200 else { throw AWSFault("\(service) \(action)", response) }
    return Array(response.body.readableBytesView)
  }
}

extension JSONValue {
  /// As text; numbers that are not whole are not written here.
  fileprivate var written: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .number(let value): "\(Int64(exactly: value) ?? 0)"
    case .string(let text): text.jsonQuoted
    case .array(let elements): "[\(elements.map(\.written).joined(separator: ","))]"
    case .object(let members):
      "{\(members.map { "\($0.name.jsonQuoted):\($0.value.written)" }.joined(separator: ","))}"
    }
  }
}
