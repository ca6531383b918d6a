import Bytes
import HTTPClient
import NIOCore

/// Why AWS, or a service of the machine, gave no answer of use.
struct AWSFault: Error, CustomStringConvertible {
  /// AWS' own word for it, as `AccessDenied`; empty when there was no answer.
  var code = ""
  /// Of the answer; 0: there was none.
  var status = 0
  /// There was no answer in time.
  var isTimeout = false
  var description: String

  /// Whether the same question may be answered soon.
  var isTemporary: Bool { isTimeout || status >= 500 || status == 429 || hasFailedToConnect }
  private var hasFailedToConnect = false

  init(_ description: String) { self.description = description }

  init(_ error: HTTPClientError) {
    description = "\(error)"
    switch error {
    case .timeout: isTimeout = true
    case .connect, .connection: hasFailedToConnect = true
    default: break
    }
  }

  /// An answer that is no success: its code and message, in XML, in JSON or as text, so much as fits a line.
  init(_ what: String, _ response: HTTPResponse) {
    status = response.status
    let bytes = Array(response.body.readableBytesView.prefix(64 << 10))
    // A page of HTML says no more than the status does.
    var message = bytes.first == UInt8(ascii: "<") ? "" : String(decoding: bytes.prefix(300), as: UTF8.self)
    if let xml = try? XMLElement(parsing: bytes.span.bytes) {
      // STS has Error in ErrorResponse, EC2 in Response/Errors.
      let error = xml["Error"] ?? xml["Errors"]?["Error"]
      code = error?.text("Code") ?? ""
      message = error?.text("Message") ?? ""
    } else if let json = try? JSONValue(parsing: bytes.span.bytes), case .object = json {
      let type = json["__type"]?.text ?? json["code"]?.text ?? ""
      code = type.split(separator: "#").last.map(String.init) ?? ""
      message = json["message"]?.text ?? ""
    }
    let line = message.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : String($0) }.joined()
    description = [what, "status \(response.status)", code, String(line.prefix(300))]
      .filter { !$0.isEmpty }.joined(separator: ": ")
  }
}

extension JSONValue {
  /// The text of a JSON string that is not empty.
  package var text: String? {
    guard case .string(let text) = self, !text.isEmpty else { return nil }
    return text
  }
}
