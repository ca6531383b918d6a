// One question to AWS or to a service of the machine, and its answer as a whole.

import Bytes
import HTTPClient
import NIOCore

extension AWSEnvironment {
  /// What AWS itself is given, and how much it may answer.
  static let limits = HTTPLimits(timeout: .seconds(20), bodyBytes: 32 << 20, redirects: 0)

  /// Sends a request and gives the answer of a 200.
  ///
  /// - Parameter what: names the question in errors.
  func ask(_ what: String, _ request: HTTPRequest, _ limits: HTTPLimits) async throws(AWSFault) -> HTTPResponse {
    let response: HTTPResponse
    do throws(HTTPClientError) {
      response = try await client.send(request, limits: limits)
    } catch {
      throw AWSFault(error)
    }
    clock.observe(response.header("Date"))
    guard response.status == 200 else { throw AWSFault(what, response) }
    return response
  }

  func url(_ text: String) throws(AWSFault) -> HTTPURL {
    do throws(HTTPURLError) {
      return try HTTPURL(text)
    } catch {
      throw AWSFault("\(text): \(error)")
    }
  }

  /// A service's URL: that of the environment (`AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`), else the region's.
  func endpoint(_ service: String, region: String, isFIPS: Bool = false) throws(AWSFault) -> HTTPURL {
    guard region.utf8.allSatisfy({ $0.isLetter || $0.isDigit || $0 == UInt8(ascii: "-") }) else {
      throw AWSFault("\(region.debugDescription) is not a region")
    }
    if let text = self["AWS_ENDPOINT_URL_\(service.uppercased())", "AWS_ENDPOINT_URL"] { return try url(text) }
    let name = isFIPS || isTrue("AWS_USE_FIPS_ENDPOINT") ? "\(service)-fips" : service
    let domain = isTrue("AWS_USE_DUALSTACK_ENDPOINT") ? "api.aws" : Region.domain(region)
    return try url("https://\(name).\(region).\(domain)/")
  }
}

/// A form of a Query API: `Action=…&Version=…&…`.
func form(_ parameters: [(name: String, value: String)]) -> ByteBuffer {
  ByteBuffer(
    string: parameters.map { "\($0.name.utf8.percentEncoded())=\($0.value.utf8.percentEncoded())" }.joined(
      separator: "&"))
}
