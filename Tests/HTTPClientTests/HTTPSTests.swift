import NIOCore
import NIOPosix
import NIOSSL
import Secrets
import TestSupport
import Testing

@testable import HTTPClient

/// The context of a server with a certificate.
func serverTLS(
  _ pair: TestCertificates.Pair = TestCertificates.server, clientAuthority: String? = nil,
  maximum: TLSVersion? = nil
) throws -> NIOSSLContext {
  var configuration = TLSConfiguration.makeServerConfiguration(
    certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(pair.certificate.utf8)).map { .certificate($0) },
    privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(pair.key.utf8), format: .pem)))
  configuration.maximumTLSVersion = maximum
  if let clientAuthority {
    configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(clientAuthority.utf8)))
    configuration.certificateVerification = .noHostnameVerification
  }
  return try NIOSSLContext(configuration: configuration)
}

/// Options that trust the tests' authority, with more to it.
func trusting(_ change: (inout HTTPClientOptions) -> Void = { _ in }) -> HTTPClientOptions {
  var options = HTTPClientOptions()
  options.tls.ca = .text(Secret(TestCertificates.authority))
  change(&options)
  return options
}

let done = FakeServer.Step.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

@Suite(.timeLimit(.minutes(1))) struct HTTPSTests {
  let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
  let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: 8 << 20)

  private func get(_ url: String, _ access: HTTPAccess?, body: ByteBuffer = ByteBuffer()) async throws -> HTTPResponse {
    let method = body.readableBytes > 0 ? "POST" : "GET"
    return try await client.send(
      HTTPRequest(method: method, url: try HTTPURL(url), body: body, access: access), limits: limits)
  }

  private func fault(_ url: String, _ options: HTTPClientOptions) async throws -> String {
    let error = await #expect(throws: HTTPClientError.self) { try await get(url, HTTPAccess(options)) }
    return try #require(error).reason
  }

  @Test(arguments: [
    ("127.0.0.1", nil), ("localhost", nil), ("127.0.0.1", "a.pilotfish.test"), ("localhost", "127.0.0.1"),
  ])
  func aServerThatIsTheOne(_ host: String, _ serverName: String?) async throws {
    let server = try await FakeServer(tls: try serverTLS()) { _ in [done] }
    let access = HTTPAccess(trusting { $0.tls.serverName = serverName })
    for _ in 0..<3 { #expect(try await String(buffer: get(server.url(host: host), access).body) == "done") }
    #expect(server.connections == 1)
    await server.close()
  }

  @Test(arguments: [
    (TestCertificates.stranger, "127.0.0.1", nil, "certificate signed by unknown authority"),
    (TestCertificates.expired, "127.0.0.1", nil, "certificate has expired or is not yet valid: current time 2"),
    (
      TestCertificates.wrong, "127.0.0.1", nil,
      "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"
    ),
    (TestCertificates.wrong, "localhost", nil, "certificate is valid for other.test, not localhost"),
    (TestCertificates.legacy, "localhost", nil, "certificate relies on legacy Common Name field, use SANs instead"),
    (
      TestCertificates.server, "127.0.0.1", "a.b.pilotfish.test",
      "certificate is valid for localhost, *.pilotfish.test, not a.b.pilotfish.test"
    ),
    (TestCertificates.server, "127.0.0.1", "10.0.0.1", "certificate is valid for 127.0.0.1, not 10.0.0.1"),
  ])
  func aServerThatIsNot(
    _ pair: TestCertificates.Pair, _ host: String, _ serverName: String?, _ reason: String
  ) async throws {
    let server = try await FakeServer(tls: try serverTLS(pair)) { _ in [done] }
    var options = trusting { $0.tls.serverName = serverName }
    let fault = try await fault(server.url(host: host), options)
    #expect(fault.hasPrefix("tls: failed to verify certificate: x509: \(reason)"), "\(fault)")
    // No byte of the request got there.
    #expect(server.requests.isEmpty)
    options.tls.skipsVerification = true
    #expect(try await get(server.url(host: host), HTTPAccess(options)).status == 200)
    await server.close()
  }

  @Test func theSystemKnowsNoTestAuthority() async throws {
    let server = try await FakeServer(tls: try serverTLS()) { _ in [done] }
    let error = await #expect(throws: HTTPClientError.self) { try await get(server.url(), nil) }
    #expect(
      error?.description
        == "Get \"\(server.url())\": tls: failed to verify certificate: x509: certificate signed by unknown authority")
    await server.close()
  }

  @Test(arguments: [nil, TLSVersion.tlsv12]) func aServerThatWantsToKnowTheClient(_ maximum: TLSVersion?) async throws {
    let tls = try serverTLS(clientAuthority: TestCertificates.authority, maximum: maximum)
    let server = try await FakeServer(tls: tls) { _ in [done] }
    let fault = try await fault(server.url(), trusting())
    #expect(fault.hasPrefix("remote error: tls: ") || fault == "EOF", "\(fault)")
    let access = HTTPAccess(
      trusting {
        $0.tls.certificate = .text(Secret(TestCertificates.client.certificate))
        $0.tls.key = .text(Secret(TestCertificates.client.key))
      })
    #expect(try await get(server.url(), access).status == 200)
    await server.close()
  }

  @Test func certificatesThatChange() async throws {
    let folder = TemporaryDirectory()
    let tls = try serverTLS(clientAuthority: TestCertificates.authority)
    let server = try await FakeServer(tls: tls) { _ in [done] }
    var options = HTTPClientOptions()
    options.tls.ca = .file(folder.write("ca.pem", TestCertificates.otherAuthority))
    options.tls.certificate = .file(folder.write("cert.pem", TestCertificates.stranger.certificate))
    options.tls.key = .file(folder.write("key.pem", TestCertificates.stranger.key))
    let access = HTTPAccess(options)
    await #expect(throws: HTTPClientError.self) { try await get(server.url(), access) }
    folder.write("ca.pem", TestCertificates.authority)
    access.lookSoon()
    let refused = await #expect(throws: HTTPClientError.self) { try await get(server.url(), access) }
    #expect(refused?.reason.contains("unknown authority") == false)
    folder.write("cert.pem", TestCertificates.client.certificate)
    access.lookSoon()
    let mixed = await #expect(throws: HTTPClientError.self) { try await get(server.url(), access) }
    #expect(mixed?.reason == "the client's certificate and its key cannot be used together")
    folder.write("key.pem", TestCertificates.client.key)
    access.lookSoon()
    #expect(try await get(server.url(), access).status == 200)
    // A connection of before is not used with certificates of now.
    folder.write("cert.pem", TestCertificates.stranger.certificate)
    folder.write("key.pem", TestCertificates.stranger.key)
    access.lookSoon()
    await #expect(throws: HTTPClientError.self) { try await get(server.url(), access) }
    await server.close()
  }

  @Test func filesThatAreNotThere() async throws {
    var options = HTTPClientOptions()
    options.tls.ca = .file("/nowhere/ca.pem")
    #expect(
      try await fault("https://127.0.0.1:1/", options)
        == "failed to read ca_file (/nowhere/ca.pem): open /nowhere/ca.pem: no such file or directory")
    options.tls.ca = .text(Secret("no certificate"))
    #expect(try await fault("https://127.0.0.1:1/", options) == "no usable certificate in ca")
  }

  @Test func versionsThatDoNotMeet() async throws {
    let server = try await FakeServer(tls: try serverTLS(maximum: .tlsv12)) { _ in [done] }
    let fault = try await fault(server.url(), trusting { $0.tls.minimumVersion = .tlsv13 })
    #expect(fault == "remote error: tls: protocol version not supported")
    #expect(try await get(server.url(), HTTPAccess(trusting { $0.tls.maximumVersion = .tlsv12 })).status == 200)
    await server.close()
  }

  @Test func aServerThatSpeaksPlainHTTP() async throws {
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(PlainAnswer())
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let fault = try await fault("https://127.0.0.1:\(channel.localAddress?.port ?? 0)/", trusting())
    #expect(fault == "http: server gave HTTP response to HTTPS client")
    try await channel.close()
  }

  @Test func aServerThatKeepsSilentInTheHandshake() async throws {
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .bind(host: "127.0.0.1", port: 0).get()
    let url = try HTTPURL("https://127.0.0.1:\(channel.localAddress?.port ?? 0)/")
    let error = await #expect(throws: HTTPClientError.self) {
      try await client.send(
        HTTPRequest(url: url), limits: HTTPLimits(timeout: .milliseconds(200), bodyBytes: 10))
    }
    guard case .timeout = error else { return #expect(Bool(false), "\(String(describing: error))") }
    try await channel.close()
  }

  @Test func largeBodiesBothWays() async throws {
    let body = String(repeating: "0123456789abcdef", count: 1 << 16)
    let server = try await FakeServer(tls: try serverTLS()) { _ in
      [.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n"), .send(body)]
    }
    let response = try await get(server.url(), HTTPAccess(trusting()), body: ByteBuffer(string: body))
    #expect(String(buffer: response.body) == body)
    #expect(server.requests.first?.text.hasSuffix(body) == true)
    await server.close()
  }

  @Test func aConnectionClosedWhileIdleIsReplaced() async throws {
    let server = try await FakeServer(tls: try serverTLS()) { request in
      request.connection == 0 && request.number == 1 ? [.close] : [done]
    }
    let access = HTTPAccess(trusting())
    for _ in 0..<2 { #expect(try await get(server.url(), access).status == 200) }
    #expect(server.connections == 2)
    await server.close()
  }

  @Test func accessesWithOtherCertificatesShareNoConnection() async throws {
    let server = try await FakeServer(tls: try serverTLS()) { _ in [done] }
    for _ in 0..<2 {
      #expect(try await get(server.url(), HTTPAccess(trusting())).status == 200)
      let other = HTTPAccess(trusting { $0.tls.maximumVersion = .tlsv12 })
      #expect(try await get(server.url(), other).status == 200)
    }
    #expect(server.connections >= 2)
    await server.close()
  }
}

/// A server of plain HTTP: whatever it gets is no request.
private final class PlainAnswer: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let answer = ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
  }
}
