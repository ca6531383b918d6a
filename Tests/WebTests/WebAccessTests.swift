import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TestSupport
import Testing

@testable import Web

/// Keeps what is logged.
private final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])

  var all: [String] { lines.withLock { $0 } }
  var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

  private struct Handler: LogHandler {
    let lines: LogLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      lines.lines.withLock { $0.append("\(event.message) \(event.metadata?["err"] ?? "")") }
    }
  }
}

private let tls = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"

/// `alice:secret`.
private let alice = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"

private func access(_ folder: TemporaryDirectory, _ yaml: String, _ lines: LogLines = LogLines()) throws -> WebAccess {
  try WebAccess(file: folder.write("web.yml", yaml), logger: lines.logger)
}

/// One after the other: the clients block the threads that other tests run on.
@Suite(.serialized) struct WebAccessTests {
  @Test func wantsThePassword() async throws {
    let folder = TemporaryDirectory()
    let access = try access(
      folder, "basic_auth_users: {alice: \(secretHash)}\nhttp_server_config: {headers: {X-Frame-Options: deny}}")
    try await withServer(echo(), access: access) { _, port in
      let refused = try Client(port).ask("GET", "/echo?collect[]=in")
      #expect(refused.hasPrefix("HTTP/1.1 401 Unauthorized\r\n"))
      #expect(refused.contains("\r\nWww-Authenticate: Basic\r\n") && refused.contains("\r\nX-Frame-Options: deny\r\n"))
      #expect(refused.hasSuffix("\r\n\r\nUnauthorized\n"))
      // bob:secret, alice:wrong, and no credentials at all.
      for wrong in ["Basic Ym9iOnNlY3JldA==", "Basic YWxpY2U6d3Jvbmc=", "Basic x", "Digest x"] {
        #expect(try Client(port).ask("GET", "/nope", "Authorization: \(wrong)\r\n").hasPrefix("HTTP/1.1 401 "))
      }
      for _ in 0..<3 {
        let answer = try Client(port).ask("GET", "/echo?collect[]=in", alice)
        #expect(answer.hasSuffix("\r\n\r\nin") && answer.contains("\r\nX-Frame-Options: deny\r\n"))
      }
      #expect(try Client(port).ask("GET", "/nope", alice).hasPrefix("HTTP/1.1 404 "))
    }
  }

  @Test func changesOfTheFileCountAtOnce() async throws {
    let (folder, lines) = (TemporaryDirectory(), LogLines())
    try await withServer(echo(), access: access(folder, "", lines)) { _, port async throws in
      func status(_ headers: String = "") throws -> Substring {
        try Client(port).ask("GET", "/echo", headers).dropFirst("HTTP/1.1 ".count).prefix(3)
      }
      #expect(try status() == "200")
      folder.write("web.yml", "basic_auth_users: {alice: \(secretHash)}")
      #expect(try status() == "401")
      #expect(try status(alice) == "200")
      folder.write("web.yml", "basic_auth_users: {bob: \(secretHash)}")
      #expect(try status(alice) == "401")
      folder.write("web.yml", "basic_auth_users: {alice: nonsense}")
      #expect(try status(alice) == "500")
      #expect(try status(alice) == "500")
      #expect(lines.all.count == 1 && lines.all[0].contains("web.yml:1:20: basic_auth_users.alice: "), "\(lines.all)")
      folder.write("web.yml", "rate_limit: {burst: 2, interval: 1h}")
      #expect([try status(), try status(), try status()] == ["200", "200", "429"])
      #expect(try Client(port).ask("GET", "/echo").hasSuffix("\r\n\r\nToo Many Requests\n"))
      // The same limit in another file goes on counting.
      folder.write("web.yml", "# still\nrate_limit: {burst: 2, interval: 1h}")
      #expect(try status() == "429")
      folder.write("web.yml", "")
      #expect(try status() == "200")
    }
  }

  @Test(arguments: [
    ("certificate", privateKey, "no usable certificate in cert_file ("), (certificate, "", "no usable private key in"),
    (
      certificate, "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
      "no usable private key in key_file"
    ),
    (certificate, otherKey, "certificate and private key cannot be used together"),
  ])
  func badCertificatesSayWhy(certificate: String, key: String, reason: String) throws {
    let folder = TemporaryDirectory()
    folder.write("cert.pem", certificate)
    folder.write("key.pem", key)
    #expect {
      _ = try access(folder, tls)
    } throws: {
      "\($0)".contains("/web.yml: tls_server_config: ") && "\($0)".contains(reason) && !"\($0)".contains("hunter2")
    }
  }

  @Test func missingFilesSayWhy() throws {
    let folder = TemporaryDirectory()
    #expect { try access(folder, tls) } throws: { "\($0)".contains("open \(folder.path)/cert.pem: no such file") }
    folder.write("cert.pem", certificate)
    #expect { try access(folder, tls) } throws: { "\($0)".contains("failed to read key_file (\(folder.path)/key.pem)") }
    #expect {
      try access(folder, "tls_server_config: {cert_file: cert.pem, key_file: .}")
    } throws: {
      "\($0)".hasSuffix("not a regular file")
    }
    #expect {
      try WebAccess(file: "/nope", logger: LogLines().logger)
    } throws: {
      "\($0)" == "open /nope: no such file or directory"
    }
  }

  @Test func aTLSPortTellsPlainClientsAndDropsNoise() async throws {
    let folder = TemporaryDirectory()
    folder.write("cert.pem", certificate)
    folder.write("key.pem", privateKey)
    var limits = WebServer.Limits()
    limits.requestTime = .milliseconds(300)
    try await withServer(echo(), access: access(folder, tls), limits: limits) { _, port in
      let text = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
      #expect(try Client(port).ask("GET", "/echo") == text)
      let noise = try Client(port)
      noise.send("\u{1}\u{2}\u{3} nonsense\r\n\r\n")
      #expect(!noise.read().contains("HTTP"))
      // Handshakes that never end, at each of their stages.
      for start in ["", "\u{16}", "GE", "\u{16}\u{3}\u{1}\u{1}\u{0}\u{1}"] {
        let slow = try Client(port)
        slow.send(start)
        #expect(slow.read() == "")
      }
      let closed = try Client(port)
      closed.send("\u{16}\u{3}\u{1}")
      closed.endSending()
      #expect(closed.read() == "")
      #expect(try await askTLS(port, "/echo?collect[]=in").hasSuffix("\r\n\r\nin"))
    }
  }

  @Test func certificatesAreReadAgain() async throws {
    let (folder, lines) = (TemporaryDirectory(), LogLines())
    folder.write("cert.pem", certificate)
    folder.write("key.pem", privateKey)
    try await withServer(echo(), access: access(folder, tls, lines)) { _, port async throws in
      #expect(try await askTLS(port, "/echo").hasPrefix("HTTP/1.1 200 "))
      folder.write("key.pem", otherKey)
      for _ in 0..<2 { #expect(try await askTLS(port, "/echo") == "") }
      #expect(lines.all.count == 1 && lines.all[0].contains("cannot be used together"), "\(lines.all)")
      folder.write("key.pem", privateKey)
      #expect(try await askTLS(port, "/echo").hasPrefix("HTTP/1.1 200 "))
    }
  }

  @Test(arguments: [
    ("RequestClientCert", "", true), ("RequireAnyClientCert", "", false),
    ("VerifyClientCertIfGiven", ", client_ca_file: cert.pem", true),
    ("RequireAndVerifyClientCert", ", client_ca_file: cert.pem", false), ("NoClientCert", "", true),
    ("NoClientCert", ", cipher_suites: [TLS_AES_128_GCM_SHA256]", true),
    ("NoClientCert", ", max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]", true),
    ("NoClientCert", ", max_version: TLS12, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]", false),
    ("NoClientCert", ", min_version: TLS13, curve_preferences: [CurveP521, CurveP384, CurveP256, X25519]", true),
  ])
  func takesClientsWithoutCertificate(type: String, more: String, isTaken: Bool) async throws {
    let folder = TemporaryDirectory()
    folder.write("cert.pem", certificate)
    folder.write("key.pem", privateKey)
    let yaml = "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_auth_type: \(type)\(more)}"
    try await withServer(echo(), access: access(folder, yaml)) { _, port in
      let answer = try await askTLS(port, "/echo")
      #expect(answer.hasPrefix("HTTP/1.1 200 ") == isTaken, "\(answer)")
    }
  }
}

/// One request by TLS; what comes until the server closes.
private func askTLS(_ port: Int, _ target: String) async throws -> String {
  var configuration = TLSConfiguration.makeClientConfiguration()
  configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)))
  let context = try NIOSSLContext(configuration: configuration)
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let answer = group.next().makePromise(of: String.self)
  let channel = try await ClientBootstrap(group: group)
    .channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: "localhost"))
        try pipeline.addHandler(Reader(answer))
      }
    }
    .connect(host: "127.0.0.1", port: port).get()
  let request = "GET \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
  channel.writeAndFlush(ByteBuffer(string: request), promise: nil)
  let text = try await answer.futureResult.get()
  try await group.shutdownGracefully()
  return text
}

/// Gathers what comes.
private final class Reader: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private let answer: EventLoopPromise<String>
  private var text = ""

  init(_ answer: EventLoopPromise<String>) { self.answer = answer }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { text += String(buffer: unwrapInboundIn(data)) }
  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
  func channelInactive(context: ChannelHandlerContext) { answer.succeed(text) }
}
