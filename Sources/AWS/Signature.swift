// Signatures of AWS, version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html):
// the canonical request, the text that is signed, and the header that carries the signature.

import Bytes
import HTTPClient
import NIOCore

/// What a signature is good for: a service in a region.
public struct SigningScope: Sendable, Hashable {
  /// As `us-east-1`.
  public var region: String
  /// The name under which the service signs: `aps`, `sts`, `ec2`, `ecs`.
  public var service: String

  public init(region: String, service: String) {
    self.region = region
    self.service = service
  }
}

/// The signature of one request at one time.
public struct Signature: Sendable {
  /// What the request comes down to.
  public let canonicalRequest: String
  /// Algorithm, time, scope and the hash of the canonical request.
  public let stringToSign: String
  /// Names of the headers that are signed, in order, with ";" between them.
  public let signedHeaders: String
  /// 64 hexadecimal digits.
  public let text: String
  /// The header `Authorization`.
  public let authorization: String

  private static let algorithm = "AWS4-HMAC-SHA256"

  /// - Parameters:
  ///   - target: path and query as they are sent.
  ///   - headers: all that are to be signed; `Host` and `X-Amz-Date` must be among them.
  ///   - payloadHash: of the body, in hexadecimal.
  ///   - time: what `X-Amz-Date` says.
  ///   - key: of the day, region and service.
  package init(
    method: String, target: String, headers: [(name: String, value: String)], payloadHash: String,
    accessKeyID: String, scope: SigningScope, time: String, key: [UInt8]
  ) {
    let headers = CanonicalHeaders(headers)
    signedHeaders = headers.names
    let query = target.firstIndex(of: "?")
    canonicalRequest = [
      method, CanonicalURL.path(target[..<(query ?? target.endIndex)]),
      query.map { CanonicalURL.query(target[target.index(after: $0)...]) } ?? "", headers.lines, headers.names,
      payloadHash,
    ].joined(separator: "\n")
    let credentialScope = "\(time.prefix(8))/\(scope.region)/\(scope.service)/aws4_request"
    stringToSign = [
      Self.algorithm, time, credentialScope, SHA256.hash(canonicalRequest).hexadecimal,
    ].joined(separator: "\n")
    text = SHA256.authenticationCode(stringToSign, key: key).hexadecimal
    authorization =
      "\(Self.algorithm) Credential=\(accessKeyID)/\(credentialScope), "
      + "SignedHeaders=\(signedHeaders), Signature=\(text)"
  }

  /// The key that signs for a day (`20260115`), region and service.
  package static func key(_ secretAccessKey: String, day: String, _ scope: SigningScope) -> [UInt8] {
    [day, scope.region, scope.service, "aws4_request"].reduce(Array("AWS4\(secretAccessKey)".utf8)) { key, part in
      SHA256.authenticationCode(part, key: key)
    }
  }
}

/// Names in lower case and in order, each once; values without superfluous blanks.
private struct CanonicalHeaders {
  /// Each as `name:value` and a line feed.
  var lines = ""
  var names: String

  init(_ headers: [(name: String, value: String)]) {
    var values: [String: [String]] = [:]
    for header in headers { values[header.name.lowercased(), default: []].append(Self.trimmed(header.value)) }
    let sorted = values.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for (name, values) in sorted { lines += "\(name):\(values.joined(separator: ","))\n" }
    names = sorted.map(\.key).joined(separator: ";")
  }

  /// Blanks at the ends removed, those within made one.
  private static func trimmed(_ value: String) -> String {
    value.split { $0 == " " || $0 == "\t" || $0.isNewline }.joined(separator: " ")
  }
}

/// Path and query as they are signed.
enum CanonicalURL {
  /// Without dot segments and empty ones, and percent-encoded once more than it is sent.
  static func path(_ path: Substring) -> String {
    var segments: [Substring] = []
    for segment in path.split(separator: "/") where segment != "." {
      if segment == ".." { _ = segments.popLast() } else { segments.append(segment) }
    }
    let isFolder = path.hasSuffix("/") || path.hasSuffix("/.") || path.hasSuffix("/..")
    let end = isFolder && !segments.isEmpty ? "/" : ""
    return "/" + segments.map { $0.utf8.percentEncoded() }.joined(separator: "/") + end
  }

  /// Parameters in the order of their encoded names and values; one without "=" gets it.
  static func query(_ query: Substring) -> String {
    let pairs = query.split(separator: "&").map { parameter in
      let equals = parameter.firstIndex(of: "=") ?? parameter.endIndex
      return (name: encoded(parameter[..<equals]), value: encoded(parameter[equals...].dropFirst()))
    }
    let sorted = pairs.sorted { a, b in
      a.name == b.name
        ? a.value.utf8.lexicographicallyPrecedes(b.value.utf8) : a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
    }
    return sorted.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
  }

  /// What is encoded as signatures want it, however it is sent.
  private static func encoded(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    let sent = Array(text.utf8)
    var place = 0
    while place < sent.count {
      if sent[place] == UInt8(ascii: "%"), place + 2 < sent.count, let high = sent[place + 1].hexDigit,
        let low = sent[place + 2].hexDigit
      {
        bytes.append(high << 4 | low)
        place += 3
      } else {
        bytes.append(sent[place])
        place += 1
      }
    }
    return bytes.percentEncoded()
  }
}
