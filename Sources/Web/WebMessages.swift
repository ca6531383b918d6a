import NIOCore

/// A request, as a handler sees it.
public struct WebRequest: Sendable {
  public let method: String
  /// Percent-decoded, without the query.
  public let path: String
  /// In the order of the query, decoded; a name may come more than once.
  public let query: [(name: String, value: String)]
  public let headers: [(name: String, value: String)]

  /// The first header of that name, in any case.
  public func header(_ name: String) -> String? {
    headers.first { $0.name.lowercased() == name }?.value
  }

  /// All lines of a header that is a list, as one.
  public func list(_ name: String) -> String {
    headers.filter { $0.name.lowercased() == name }.map(\.value).joined(separator: ",")
  }

  /// All values of a query parameter, in order.
  public func parameters(_ name: String) -> [String] { query.filter { $0.name == name }.map(\.value) }
}

/// What a handler answers.
public struct WebResponse: Sendable {
  public var status: Int
  public var contentType: String
  public var headers: [(name: String, value: String)]
  public var body: ByteBuffer

  public init(
    status: Int = 200, contentType: String, headers: [(name: String, value: String)] = [], body: ByteBuffer
  ) {
    self.status = status
    self.contentType = contentType
    self.headers = headers
    self.body = body
  }

  /// Plain text, as Go's http.Error gives it.
  public static func text(_ status: Int, _ text: String) -> WebResponse {
    WebResponse(
      status: status, contentType: "text/plain; charset=utf-8", headers: [("X-Content-Type-Options", "nosniff")],
      body: ByteBuffer(string: text + "\n"))
  }

  public static func html(_ html: String) -> WebResponse {
    WebResponse(contentType: "text/html; charset=UTF-8", body: ByteBuffer(string: html))
  }

  public static func json(_ json: JSON, status: Int = 200) -> WebResponse {
    WebResponse(status: status, contentType: "application/json", body: ByteBuffer(string: json.text))
  }

  static let notFound = text(404, "404 page not found")
}

/// What answers a path: calls `respond` exactly once, on any thread, now or later.
public typealias WebHandler = @Sendable (WebRequest, _ respond: @escaping @Sendable (WebResponse) -> Void) -> Void

/// Which handler answers which path. A path is matched whole.
public struct WebRoutes: Sendable {
  private var handlers: [String: WebHandler] = [:]

  public init() {}

  /// Sets the handler of a path.
  public subscript(path: String) -> WebHandler? {
    get { handlers[path] }
    set { handlers[path] = newValue }
  }

  /// All routes as one handler, which answers 404 for every other path.
  var handler: WebHandler {
    { request, respond in
      guard let handler = handlers[request.path] else { return respond(.notFound) }
      handler(request, respond)
    }
  }
}
