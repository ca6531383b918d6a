import NIOCore
import NIOSSL
import Secrets

/// What a connection's TLS needs: the certificates, loaded.
struct TLSSettings: Sendable {
  private let context: NIOSSLContext
  /// Whether BoringSSL checks the client's certificate against the CAs.
  private let verifies: Bool
  /// The names of which a client's certificate must have one; nil: any.
  let allowedNames: Set<String>?

  /// - Throws: for certificates and keys that cannot be read or used.
  init(_ tls: WebConfiguration.TLS) throws(TLSFault) {
    let certificates = try Certificates.chain(tls.certificate, "cert")
    let key = try Certificates.privateKey(tls.key, "key")
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
      configuration.trustRoots = .certificates(try Certificates.chain(clientCA, "client_ca"))
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
}
