import NIOCore
import NIOSSL
import YAML

/// What a connection's TLS needs: the certificates, loaded.
struct TLSSettings: Sendable {
  private let context: NIOSSLContext
  /// Whether BoringSSL checks the client's certificate against the CAs.
  private let verifies: Bool
  /// The names of which a client's certificate must have one; nil: any.
  let allowedNames: Set<String>?

  private static let fileLimit = 16 << 20

  /// - Throws: for certificates and keys that cannot be read or used.
  init(_ tls: WebConfiguration.TLS) throws(TLSFault) {
    let certificates = try Self.certificates(tls.certificate, "cert")
    let key = try Self.read(tls.key, "key")
    guard let key = try? NIOSSLPrivateKey(bytes: key, format: .pem) else {
      throw TLSFault("no usable private key in \(Self.name(tls.key, "key"))")
    }
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: certificates.map { .certificate($0) }, privateKey: .privateKey(key))
    configuration.applicationProtocols = ["http/1.1"]
    // The answer is out when a connection is closed: nothing is left to wait for.
    configuration.shutdownTimeout = .zero
    configuration.minimumTLSVersion = tls.minimumVersion
    configuration.maximumTLSVersion = tls.maximumVersion
    if !tls.curves.isEmpty { configuration.curves = tls.curves }
    let chosen = tls.cipherSuites.filter { !TLSNames.tls13.contains($0) }
    if !chosen.isEmpty {
      configuration.cipherSuiteValues = chosen
    } else if !tls.cipherSuites.isEmpty {
      // Nothing is left for the older versions.
      configuration.minimumTLSVersion = .tlsv13
      configuration.maximumTLSVersion = .tlsv13
    }

    let authentication = tls.clientAuthentication
    verifies = [.verifyIfGiven, .requireAndVerify].contains(authentication)
    allowedNames = tls.allowedNames
    switch authentication {
    case .none: configuration.certificateVerification = .none
    case .request, .verifyIfGiven: configuration.certificateVerification = .optionalVerification
    case .requireAny, .requireAndVerify: configuration.certificateVerification = .noHostnameVerification
    }
    if let clientCA = tls.clientCA {
      configuration.trustRoots = .certificates(try Self.certificates(clientCA, "client_ca"))
      configuration.sendCANameList = true
    } else if !verifies {
      // Without this the system's CAs would be loaded, for nothing.
      configuration.trustRoots = .certificates([])
    }
    do {
      context = try NIOSSLContext(configuration: configuration)
    } catch {
      throw TLSFault("failed to load X509KeyPair: certificate and private key cannot be used together")
    }
  }

  /// The handler that speaks TLS for one connection.
  func makeHandler() -> NIOSSLServerHandler {
    guard !verifies else { return NIOSSLServerHandler(context: context) }
    return NIOSSLServerHandler(
      context: context, customVerificationCallback: { _, verdict in verdict.succeed(.certificateVerified) })
  }

  // MARK: Files

  private static func certificates(
    _ source: WebConfiguration.TLS.Source, _ key: String
  ) throws(TLSFault) -> [NIOSSLCertificate] {
    let bytes = try read(source, key)
    guard let certificates = try? NIOSSLCertificate.fromPEMBytes(bytes), !certificates.isEmpty else {
      throw TLSFault("no usable certificate in \(name(source, key))")
    }
    return certificates
  }

  private static func read(_ source: WebConfiguration.TLS.Source, _ key: String) throws(TLSFault) -> [UInt8] {
    switch source {
    case .text(let text): return Array(text.utf8)
    case .file(let path):
      do throws(FileFault) {
        return try WholeFile.readRegular(path, limit: fileLimit)
      } catch {
        throw TLSFault("failed to read \(name(source, key)): \(error)")
      }
    }
  }

  /// How an error names a source; never by its content.
  private static func name(_ source: WebConfiguration.TLS.Source, _ key: String) -> String {
    switch source {
    case .text: key
    case .file(let path): "\(key)_file (\(path))"
    }
  }
}

/// Certificates or a key that cannot be used. Shows paths, never contents.
struct TLSFault: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
