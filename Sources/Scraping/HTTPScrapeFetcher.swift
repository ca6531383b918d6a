import HTTPClient
import NIOCore

/// Fetches targets by HTTP.
public struct HTTPScrapeFetcher: ScrapeFetcher {
  private let client: HTTPClient

  public init(client: HTTPClient) { self.client = client }

  public func prepare(_ request: ScrapeRequest) throws(ScrapeError) -> ScrapeFetch {
    let prepared: PreparedRequest
    do { prepared = try request.prepared } catch { throw ScrapeError("\(error)") }
    let limits = HTTPLimits(timeout: request.timeout, bodyBytes: request.bodyLimit)
    return { [client] eventLoop, onPart, completion in
      let call = client.send(
        prepared, limits: limits, on: eventLoop,
        onHead: { onPart(.head(contentType: $0.header("Content-Type"), length: $0.bodyLength)) },
        onPart: { onPart(.bytes($0)) }, completion: { completion($0.scrapeAnswer) })
      return { call.cancel() }
    }
  }

  /// Targets that come and go would leave many connections open.
  public func forget(_ request: ScrapeRequest, on eventLoop: any EventLoop) {
    guard let prepared = try? request.prepared else { return }
    client.closeIdleConnections(of: prepared, on: eventLoop)
  }
}

extension ScrapeRequest {
  fileprivate var prepared: PreparedRequest {
    get throws { PreparedRequest(HTTPRequest(url: try HTTPURL(url), headers: headers, access: access)) }
  }
}

extension HTTPResponse {
  /// Bytes of the body, as far as the head says.
  fileprivate var bodyLength: Int? {
    header("Content-Encoding") == nil ? header("Content-Length").flatMap { Int($0) } : nil
  }
}

extension Result<HTTPResponse, HTTPClientError> {
  fileprivate var scrapeAnswer: Result<ScrapeAnswer, ScrapeError> {
    switch self {
    case .success(let response):
      .success(
        .response(
          ScrapeResponse(status: response.status, contentType: response.header("Content-Type"), body: response.body)))
    case .failure(.bodyTooLarge): .failure(ScrapeError("body size limit exceeded", isBodyTooLarge: true))
    case .failure(let error): .failure(ScrapeError("\(error)"))
    }
  }
}
