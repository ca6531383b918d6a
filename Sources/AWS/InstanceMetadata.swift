// The metadata service of an EC2 instance, version 2 and, where that is not there, 1
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html).

import Bytes
import HTTPClient

struct InstanceMetadata {
  private static let source = "instance metadata"
  private static let limits = HTTPLimits(timeout: .seconds(1), bodyBytes: 64 << 10, redirects: 0)
  private static let roles = "/latest/meta-data/iam/security-credentials/"

  private let environment: AWSEnvironment

  init(_ environment: AWSEnvironment) { self.environment = environment }

  func credentials() async throws(CredentialError) -> Credentials {
    do throws(AWSFault) {
      let session = try await Session(environment, Self.limits)
      let names = try await session.get(Self.roles, none: "the instance has no IAM role")
      let name = String(decoding: names.prefix { $0 != .newline && $0 != 13 }, as: UTF8.self)
      guard !name.isEmpty else { throw AWSFault("the instance has no IAM role") }
      let document = try await session.get(
        Self.roles + name.utf8.percentEncoded(), none: "the instance's IAM role has no credentials")
      return try CredentialDocument(document, "the instance's metadata").credentials("instance role \(name)")
    } catch {
      throw CredentialError(Self.source, error.description)
    }
  }

  func region() async throws(AWSFault) -> String {
    let session = try await Session(environment, Self.limits)
    let text = try await session.get("/latest/meta-data/placement/region", none: "the instance has no region")
    return String(decoding: text.filter { $0 > .space }, as: UTF8.self)
  }
}

/// What may be asked with one token.
private struct Session {
  private let environment: AWSEnvironment
  private let limits: HTTPLimits
  private let base: String
  /// Nil: version 1.
  private var token: String?
  /// Why there is no token.
  private var diagnosis = ""

  init(_ environment: AWSEnvironment, _ limits: HTTPLimits) async throws(AWSFault) {
    self.environment = environment
    self.limits = limits
    let isIPv6 = environment["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"]?.lowercased() == "ipv6"
    let own = isIPv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254"
    let url = environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? own
    base = url.hasSuffix("/") ? String(url.dropLast()) : url
    try await takeToken()
  }

  private mutating func takeToken() async throws(AWSFault) {
    let request = HTTPRequest(
      method: "PUT", url: try environment.url("\(base)/latest/api/token"),
      headers: [("X-aws-ec2-metadata-token-ttl-seconds", "21600")])
    let fault: AWSFault
    do throws(AWSFault) {
      let answer = try await environment.ask("IMDSv2 token", request, limits)
      let text = String(buffer: answer.body)
      guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
        throw AWSFault("the IMDSv2 token is not a token")
      }
      token = text
      return
    } catch {
      fault = error
    }
    // As the SDKs: version 1 stands in where there is no version 2, unless it is forbidden.
    guard fault.isTimeout || [403, 404, 405].contains(fault.status) else { throw fault }
    diagnosis = fault.isTimeout ? Self.hopLimit : fault.description
    if environment.isTrue("AWS_EC2_METADATA_V1_DISABLED") { throw AWSFault(diagnosis) }
  }

  /// What a container sees whose packets may go one hop only.
  private static let hopLimit =
    "no answer to the request for an IMDSv2 token. In a container on EC2: set HttpPutResponseHopLimit to 2, or use a "
    + "role of the task or pod; elsewhere: there is no instance metadata"

  /// - Parameter none: what a 404 means.
  func get(_ path: String, none: String) async throws(AWSFault) -> [UInt8] {
    var request = HTTPRequest(url: try environment.url(base + path))
    if let token { request.headers.append(("X-aws-ec2-metadata-token", token)) }
    do throws(AWSFault) {
      return Array(try await environment.ask("instance metadata", request, limits).body.readableBytesView)
    } catch {
      if error.status == 404 { throw AWSFault(none) }
      if !diagnosis.isEmpty { throw AWSFault("\(diagnosis) (and by IMDSv1: \(error))") }
      throw error
    }
  }
}
