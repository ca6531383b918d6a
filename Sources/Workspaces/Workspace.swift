// The data plane of a workspace of Amazon Managed Service for Prometheus, asked by hand
// (https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-APIReference-Prometheus-Compatible-Apis.html):
// Prometheus' HTTP API and remote write, every request signed.

import AWS
import Bytes
import HTTPClient
import NIOCore

/// A workspace, and as whom it is asked.
public struct Workspace: Sendable {
  /// What is written to: `https://…/workspaces/ws-…/api/v1/remote_write`.
  public let url: HTTPURL
  public let signer: RequestSigner
  /// With which the signer signs.
  public let credentials: CredentialOptions
  /// Headers of the configuration, which are not signed.
  public var headers: [(name: String, value: String)] = []
  public var userAgent = "pilotfish"
  /// Of one request.
  public var timeout = Duration.seconds(60)
  /// TLS and proxy.
  public let access: HTTPAccess?
  let aws: AWSAccounts
  let client: HTTPClient
  /// The URL without its last part, `remote_write`.
  private let base: String

  /// An answer of a query that is longer is refused.
  private static let bodyBytes = 256 << 20

  /// - Throws: when it cannot be told from the URL where queries go.
  public init(
    _ url: HTTPURL, signer: RequestSigner, credentials: CredentialOptions, access: HTTPAccess?, client: HTTPClient,
    aws: AWSAccounts
  ) throws(WorkspaceFault) {
    let path = url.target.prefix { $0 != "?" }
    guard let suffix = ["/api/v1/remote_write", "/api/v1/write"].first(where: path.hasSuffix) else {
      throw WorkspaceFault(
        "\(url): no URL of a workspace; give its id (ws-…) or a URL that ends in /workspaces/ws-…/api/v1/remote_write")
    }
    base = path.dropLast(suffix.utf8.count) + "/api/v1/"
    (self.url, self.signer, self.credentials, self.access) = (url, signer, credentials, access)
    (self.client, self.aws) = (client, aws)
  }

  // MARK: Requests

  /// A question to Prometheus' HTTP API.
  ///
  /// - Parameters:
  ///   - path: behind `/api/v1/`, percent-encoded: `query`, `label/job/values`.
  ///   - parameters: blanks in them are sent as %20: AWS' signatures do not know the plus sign of forms.
  public func query(
    _ path: String, _ parameters: [(name: String, value: String)] = []
  ) throws(WorkspaceFault) -> HTTPRequest {
    let query = parameters.map { "\($0.name.utf8.percentEncoded())=\($0.value.utf8.percentEncoded())" }
    let target = base + path + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
    do throws(HTTPURLError) {
      return HTTPRequest(url: try url.resolving(target), access: access)
    } catch {
      throw WorkspaceFault("\(error)")
    }
  }

  /// A request of remote write 1.0.
  public func push(_ body: [UInt8]) -> HTTPRequest {
    HTTPRequest(
      method: "POST", url: url,
      headers: [
        ("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0"),
      ], body: ByteBuffer(bytes: body), access: access)
  }

  /// The request with its signature, which is good for five minutes. At the start it waits for credentials.
  public func signed(_ request: HTTPRequest) async throws(WorkspaceFault) -> HTTPRequest {
    var request = request
    do throws(CredentialError) {
      _ = try await signer.provider.credentials()
      try signer.sign(&request)
    } catch {
      throw WorkspaceFault("\(error)", remedy: Remedy.of(error))
    }
    return request
  }

  // MARK: Answers

  /// Signs the request, sends it, and gives the answer of a 2xx. When a refusal shows that the machine's clock is wrong,
  /// it is sent once more, with AWS' time.
  public func send(_ request: HTTPRequest) async throws(WorkspaceFault) -> HTTPResponse {
    let skew = aws.environment.clock.skew
    var response = try await sendOnce(request)
    if [401, 403].contains(response.status), aws.environment.clock.skew != skew {
      response = try await sendOnce(request)
    }
    guard 200...299 ~= response.status else {
      throw WorkspaceFault(response, remedy: Remedy.of(response, isWrite: request.method == "POST"))
    }
    return response
  }

  private func sendOnce(_ request: HTTPRequest) async throws(WorkspaceFault) -> HTTPResponse {
    var request = try await signed(request)
    request.headers += [("Accept-Encoding", "gzip"), ("User-Agent", userAgent)] + headers
    let response = try await exchange(request)
    signer.answered(response)
    return response
  }

  func exchange(_ request: HTTPRequest) async throws(WorkspaceFault) -> HTTPResponse {
    let limits = HTTPLimits(timeout: timeout, bodyBytes: Self.bodyBytes, redirects: 0)
    do throws(HTTPClientError) {
      return try await client.send(request, limits: limits)
    } catch {
      throw WorkspaceFault("\(error)", remedy: Remedy.of(error, region: region))
    }
  }

  /// The region that the URL names, else the credentials'; nil when neither does.
  var region: String? {
    (try? WorkspaceURL("\(url)", region: nil))?.region ?? signer.provider.region
  }
}

/// Why a workspace gave no answer of use: one line, with what can be done about it.
public struct WorkspaceFault: Error, Sendable, CustomStringConvertible {
  /// Of the answer; 0: there was none.
  public private(set) var status = 0
  public let reason: String
  /// What the user can do; nil: nothing is known.
  public let remedy: String?

  public var description: String { remedy.map { "\(reason); \($0)" } ?? reason }

  init(_ reason: String, remedy: String? = nil) {
    self.reason = reason
    self.remedy = remedy
  }

  init(_ response: HTTPResponse, remedy: String?) {
    let message = response.reason
    let request = response.header("x-amzn-RequestId").map { " (request \($0.oneLine))" } ?? ""
    self.init("status \(response.status)\(message.isEmpty ? "" : ": \(message)")\(request)", remedy: remedy)
    status = response.status
  }
}

extension HTTPResponse {
  /// What the server says of itself in a body that is no success: of AWS (`message`), of Prometheus (`error`), or text;
  /// as much as fits a line.
  var reason: String {
    let bytes = Array(body.readableBytesView.prefix(64 << 10))
    var text = bytes.first == UInt8(ascii: "<") ? "" : String(decoding: bytes, as: UTF8.self)
    if let json = try? JSONValue(parsing: bytes.span.bytes), case .object = json {
      text = json["message"]?.text ?? json["error"]?.text ?? text
    }
    // AMP shows the canonical request behind an empty line when a signature is wrong.
    if let end = text.firstRange(of: "\n\n") { text = String(text[..<end.lowerBound]) }
    return text.oneLine
  }
}

extension String {
  /// Without control characters, and no longer than a line should be.
  var oneLine: String {
    let line = unicodeScalars.prefix(500).map { $0.isControl ? " " : String($0) }.joined()
    return line.split(separator: " ").joined(separator: " ")
  }
}

extension Unicode.Scalar {
  /// Of C0, C1, or DEL.
  var isControl: Bool { value < 0x20 || 0x7f...0x9f ~= value }
}
