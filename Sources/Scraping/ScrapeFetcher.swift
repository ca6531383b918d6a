import Bytes
import Configuration
import Exposition
import HTTPClient
import NIOCore

/// What a scrape asks of a target.
public struct ScrapeRequest: Sendable {
  public var url: String
  /// From the request until the last byte of the answer.
  public var timeout: Duration
  /// Bytes of the body after decompression.
  public var bodyLimit: Int
  public var userAgent: String
  /// What the target is asked for, the most wanted first.
  public var protocols = ScrapeProtocol.defaults
  /// Whether the answer may come compressed.
  public var acceptsGzip = true
  /// TLS, credentials and proxy; nil: none of them.
  public var access: HTTPAccess?
  /// How names are to be written that are not legacy ones.
  public var escaping = NameEscaping.allowUTF8

  /// The headers of the request.
  public var headers: [(name: String, value: String)] {
    [
      ("Accept", accept),
      ("Accept-Encoding", acceptsGzip ? "gzip" : "identity"),
      ("User-Agent", userAgent),
      ("X-Prometheus-Scrape-Timeout-Seconds", timeout.secondsText),
    ]
  }

  /// Weights the protocols as Prometheus does: from 0.6 down, and anything else below the last.
  private var accept: String {
    (protocols.map { $0.mediaType(escaping: escaping.rawValue) } + ["*/*"]).enumerated().map { "\($1);q=0.\(6 - $0)" }
      .joined(separator: ",")
  }
}

extension ScrapeProtocol {
  /// Only the newer versions of the text formats know escaping.
  fileprivate func mediaType(escaping scheme: String) -> String {
    switch self {
    case .openMetricsText0: "application/openmetrics-text;version=0.0.1"
    case .openMetricsText1: "application/openmetrics-text;version=1.0.0;escaping=\(scheme)"
    case .prometheusProtobuf:
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    case .prometheusText0: "text/plain;version=0.0.4"
    case .prometheusText1: "text/plain;version=1.0.0;escaping=\(scheme)"
    }
  }

  /// How an answer in it is read.
  var format: ExpositionFormat {
    switch self {
    case .openMetricsText0, .openMetricsText1: .openMetrics
    case .prometheusProtobuf: .protobuf
    case .prometheusText0, .prometheusText1: .text
    }
  }
}

/// What a target answered.
public struct ScrapeResponse: Sendable {
  public var status: Int
  /// The header of that name; nil when there is none.
  public var contentType: String?
  /// Decompressed.
  public var body: ByteBuffer

  public init(status: Int, contentType: String?, body: ByteBuffer) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  /// The format of the body, by the answer's Content-Type.
  ///
  /// - Parameter fallback: the format of a body whose Content-Type is missing or not one that is read.
  /// - Throws: when the status is not 200, or the format cannot be told.
  func format(fallback: ExpositionFormat? = nil) throws(ScrapeError) -> ExpositionFormat {
    if status != 200 {
      let reason = HTTPStatus.reason(of: status).map { " \($0)" } ?? ""
      throw ScrapeError("server returned HTTP status \(status)\(reason)")
    }
    // An empty body is a good scrape of nothing, whatever it is called.
    if body.readableBytes == 0 { return .text }
    let hint = "and no fallback_scrape_protocol specified for target"
    guard let contentType, !contentType.isEmpty else {
      if let fallback { return fallback }
      throw ScrapeError("non-compliant scrape target sending blank Content-Type \(hint)")
    }
    let header = contentType.utf8.span.bytes
    let mediaType = header.extracting(0..<(header.firstIndex(of: UInt8(ascii: ";")) ?? header.byteCount)).trimmed
    for (name, format) in Self.mediaTypes where mediaType.equalsIgnoringCase(name) { return format }
    if let fallback { return fallback }
    throw ScrapeError("received unsupported Content-Type \"\(contentType)\" \(hint)")
  }

  private static let mediaTypes: [(name: StaticString, format: ExpositionFormat)] = [
    ("text/plain", .text), ("application/openmetrics-text", .openMetrics),
    ("application/vnd.google.protobuf", .protobuf),
  ]
}

/// Gets the answers of targets.
public protocol ScrapeFetcher: Sendable {
  /// What one target needs to be fetched again and again.
  ///
  /// - Throws: when it never can be.
  func prepare(_ request: ScrapeRequest) throws(ScrapeError) -> ScrapeFetch

  /// The target is gone: what is kept for its next scrape may go. To be called on the event loop.
  func forget(_ request: ScrapeRequest, on eventLoop: any EventLoop)
}

extension ScrapeFetcher {
  public func forget(_ request: ScrapeRequest, on eventLoop: any EventLoop) {}
}

/// Fetches a target: to be called on the event loop, where the answer is given once, and before it, if that comes in
/// parts, these. Gives what breaks it off; it is of no effect after the answer.
public typealias ScrapeFetch = (
  _ eventLoop: any EventLoop, _ onPart: @escaping (ScrapePart) -> Void,
  _ completion: @escaping (Result<ScrapeAnswer, ScrapeError>) -> Void
) -> () -> Void

/// What comes of an answer with the status 200 before it is complete: the head first. The answer itself has no body
/// then.
public enum ScrapePart: Sendable {
  /// - Parameters:
  ///   - contentType: the header of that name; nil when there is none.
  ///   - length: of the body in bytes, if it is known.
  case head(contentType: String?, length: Int?)
  /// Decompressed.
  case bytes(ByteBuffer)
}

/// What there is of a target.
public enum ScrapeAnswer: Sendable {
  /// It answered by HTTP.
  case response(ScrapeResponse)
  /// It is this process.
  case collected(CollectedMetrics)
}

extension RawSpan {
  fileprivate func equalsIgnoringCase(_ text: StaticString) -> Bool {
    guard byteCount == text.utf8CodeUnitCount else { return false }
    return (0..<byteCount).allSatisfy { self[$0] | 0x20 == text.utf8Start[$0] | 0x20 }
  }
}

/// The reason phrases of RFC 9110, section 15, for messages.
private enum HTTPStatus {
  static func reason(of status: Int) -> String? { reasons[status] }

  private static let reasons: [Int: String] = [
    201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently",
    302: "Found", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 408: "Request Timeout", 410: "Gone", 429: "Too Many Requests",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout",
  ]
}
