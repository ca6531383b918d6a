import HTTPClient

/// Fetches targets by HTTP.
public struct HTTPScrapeFetcher: ScrapeFetcher {
  private let client: HTTPClient

  public init(client: HTTPClient) { self.client = client }

  public func fetch(_ request: ScrapeRequest) async throws(ScrapeError) -> ScrapeResponse {
    let url: HTTPURL
    do { url = try HTTPURL(request.url) } catch { throw ScrapeError("\(error)") }
    let limits = HTTPLimits(timeout: request.timeout, bodyBytes: request.bodyLimit)
    do throws(HTTPClientError) {
      let response = try await client.send(HTTPRequest(url: url, headers: request.headers), limits: limits)
      return ScrapeResponse(
        status: response.status, contentType: response.header("Content-Type"), body: response.body)
    } catch {
      switch error {
      case .bodyTooLarge: throw ScrapeError("body size limit exceeded", isBodyTooLarge: true)
      default: throw ScrapeError("\(error)")
      }
    }
  }
}
