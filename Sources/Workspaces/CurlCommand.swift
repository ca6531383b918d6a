import AWS
import Bytes
import HTTPClient
import NIOCore

/// A signed request as a command for a shell, which sends it as it would have been sent. The secret key is not in it,
/// and the session token only when that is wanted.
public struct CurlCommand: Sendable, CustomStringConvertible {
  private static let tokenName = "x-amz-security-token"
  /// How long AWS takes a signature, in seconds.
  private static let validity: Int64 = 300

  public let description: String

  /// - Parameters:
  ///   - request: signed.
  ///   - showsToken: whether the session token stands there; else the variable that is to hold it.
  public init(_ request: HTTPRequest, showsToken: Bool) {
    var notes: [String] = []
    if let date = request.headers.first(where: { $0.name.lowercased() == "x-amz-date" })?.value,
      let time = Timestamp(iso8601: date)
    {
      notes.append(
        "# signed at \(time.extended), good until \(Timestamp(seconds: time.seconds + Self.validity).extended)")
    }
    var arguments: [String] = []
    for (name, value) in request.headers {
      if name.lowercased() == Self.tokenName, !showsToken {
        notes.append("# the session token is left out: put it into AWS_SESSION_TOKEN, or use --show-token")
        arguments.append("-H \"\(name): $AWS_SESSION_TOKEN\"")
      } else {
        arguments.append("-H \("\(name): \(value)".shellQuoted)")
      }
    }
    var start = "curl --globoff"
    let body = request.body.readableBytesView
    if request.method != "GET" {
      notes.append("# the body, \(body.count) bytes, stands before it in base64: its hash is part of the signature")
      start = "echo \(base64(body)) | base64 -d | curl --globoff -X \(request.method) --data-binary @-"
    }
    let lines = [start] + arguments + ["\(request.url)".shellQuoted]
    description = (notes + [lines.joined(separator: " \\\n  ")]).joined(separator: "\n")
  }
}

extension String {
  /// In single quotes, as any shell takes it.
  fileprivate var shellQuoted: String {
    "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}
