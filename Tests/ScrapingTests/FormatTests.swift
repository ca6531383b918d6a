import Bytes
import Configuration
import Exposition
import NIOCore
import Testing

@testable import Scraping

private func response(_ body: String, _ type: String?, status: Int = 200) -> ScrapeResponse {
  ScrapeResponse(status: status, contentType: type, body: ByteBuffer(string: body))
}

@Test(
  arguments: [
    ("text/plain; version=0.0.4", .text), ("TEXT/Plain ; charset=utf-8", .text),
    ("application/openmetrics-text; version=1.0.0; charset=utf-8", .openMetrics),
    ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", .protobuf),
  ] as [(String, ExpositionFormat)])
func formatsByContentType(type: String, format: ExpositionFormat) throws {
  #expect(try response("m 1", type).format() == format)
}

@Test(
  arguments: [
    (404, "text/plain", "server returned HTTP status 404 Not Found"),
    (799, "text/plain", "server returned HTTP status 799"),
    (200, nil, "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol"),
    (200, "", "non-compliant scrape target sending blank Content-Type"),
    (200, "text/html", #"received unsupported Content-Type "text/html" and no fallback_scrape_protocol"#),
  ] as [(Int, String?, String)])
func answersThatCannotBeRead(status: Int, type: String?, message: String) throws {
  let response = response("m 1", type, status: status)
  let fault = #expect(throws: ScrapeError.self) { try response.format() }
  #expect(fault?.description.contains(message) == true)
  if status == 200 {
    #expect(try response.format(fallback: .openMetrics) == .openMetrics)
  } else {
    #expect(throws: ScrapeError.self) { try response.format(fallback: .openMetrics) }
  }
}

@Test func anEmptyBodyIsAGoodScrape() throws { #expect(try response("", nil).format() == .text) }

@Test func requestHeaders() {
  var request = ScrapeRequest(url: "", timeout: .milliseconds(1500), bodyLimit: 1, userAgent: "pilotfish/1")
  #expect(
    request.headers.map(\.value) == [
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        + "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", "gzip", "pilotfish/1", "1.5",
    ])
  request.protocols = ScrapeProtocol.protobufFirst
  let accept = request.headers[0].value
  #expect(
    accept.hasPrefix(
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/"))
  #expect(accept.hasSuffix("text/plain;version=0.0.4;q=0.2,*/*;q=0.1"))
}
