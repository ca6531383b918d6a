// Which headers of a request are signed, and the signing key that is kept for a day.

import HTTPClient
import NIOCore
import Secrets
import Synchronization

extension HTTPRequest {
  /// Headers that are signed. What a proxy on the way may touch is not (`User-Agent`, `Content-Length`), nor what
  /// changes from one attempt to the next: the signature would be that of another request.
  private static func isSigned(_ name: String) -> Bool {
    ["content-encoding", "content-type", "x-prometheus-remote-write-version"].contains(name)
      || name.hasPrefix("x-amz-")
  }

  /// Adds the headers `X-Amz-Date`, `Authorization` and, with temporary credentials, `X-Amz-Security-Token`; those that
  /// are there are replaced.
  mutating func sign(_ credentials: Credentials, _ scope: SigningScope, at time: Timestamp, _ keys: SigningKeys) {
    headers.removeAll { ["authorization", "x-amz-date", "x-amz-security-token"].contains($0.name.lowercased()) }
    let time = time.basic
    headers.append(("X-Amz-Date", time))
    if let token = credentials.sessionToken { headers.append(("X-Amz-Security-Token", token.value)) }
    let signature = Signature(
      method: method, target: url.target,
      headers: headers.filter { Self.isSigned($0.name.lowercased()) } + [("Host", url.authority)],
      payloadHash: body.withUnsafeReadableBytes { SHA256.hash($0).hexadecimal },
      accessKeyID: credentials.accessKeyID, scope: scope, time: time,
      key: keys.key(credentials.secretAccessKey, day: String(time.prefix(8)), scope))
    headers.append(("Authorization", signature.authorization))
  }
}

/// The signing key used last, which is good for a day: four HMACs less for each request.
final class SigningKeys: Sendable {
  private struct Entry {
    var secret: Secret
    var day: String
    var scope: SigningScope
    var key: [UInt8]
  }

  private let last = Mutex<Entry?>(nil)

  func key(_ secret: Secret, day: String, _ scope: SigningScope) -> [UInt8] {
    last.withLock { last in
      if let last, last.day == day, last.scope == scope, last.secret == secret { return last.key }
      let key = Signature.key(secret.value, day: day, scope)
      last = Entry(secret: secret, day: day, scope: scope, key: key)
      return key
    }
  }
}
