// `Fuzz sign` signs what it reads, one JSON object a line, and prints what it made of it: so a script can compare
// signatures with those of another implementation.
//
//     {"method": "POST", "path": "/", "query": "", "headers": [["Host", "…"], …], "body": "hexadecimal",
//      "access_key_id": "…", "secret_access_key": "…", "region": "…", "service": "…", "timestamp": "20260115T000000Z"}

import AWS
import Bytes

enum SignCommand {
  static func run(_: Int, _: UInt64) async throws {
    while let line = readLine() {
      let json = try JSONValue(parsing: Array(line.utf8).span.bytes)
      func text(_ name: String) -> String { json[name]?.text ?? "" }
      let query = text("query")
      let time = text("timestamp")
      let scope = SigningScope(region: text("region"), service: text("service"))
      var headers: [(name: String, value: String)] = []
      if case .array(let pairs)? = json["headers"] {
        for case .array(let pair) in pairs where pair.count == 2 {
          headers.append((pair[0].text ?? "", pair[1].text ?? ""))
        }
      }
      let signature = Signature(
        method: text("method"), target: text("path") + (query.isEmpty ? "" : "?\(query)"), headers: headers,
        payloadHash: bytes(text("body")).withUnsafeBytes { SHA256.hash($0).hexadecimal },
        accessKeyID: text("access_key_id"), scope: scope, time: time,
        key: Signature.key(text("secret_access_key"), day: String(time.prefix(8)), scope))
      let shown = [
        ("canonical_request", signature.canonicalRequest), ("string_to_sign", signature.stringToSign),
        ("signed_headers", signature.signedHeaders), ("signature", signature.text),
        ("authorization", signature.authorization),
      ]
      print("{\(shown.map { "\"\($0.0)\":\($0.1.jsonQuoted)" }.joined(separator: ","))}")
    }
  }

  private static func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.utf8.compactMap(\.hexDigit)
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
