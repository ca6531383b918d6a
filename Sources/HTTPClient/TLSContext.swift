import Glibc
import NIOCore
import NIOSSL
import Secrets
import Synchronization

/// What the TLS connections of one `tls_config` share: certificates and roots, loaded at the first connection and again
/// when their files have changed. Those who state the same share one, because the system's roots take a megabyte.
final class TLSContext: Sendable {
  /// Certificates that were loaded, and a number that no others have.
  struct Loaded: Sendable {
    let context: NIOSSLContext
    let number: Int
  }

  private struct Weak {
    weak var context: TLSContext?
  }

  private static let shared = Mutex<[HTTPClientOptions.TLS: Weak]>([:])
  private static let numbers = Atomic(0)

  let options: HTTPClientOptions.TLS
  /// Nil before the first connection.
  private let files = Mutex<PolledFiles<Loaded>?>(nil)

  private init(_ options: HTTPClientOptions.TLS) { self.options = options }

  static func of(_ options: HTTPClientOptions.TLS) -> TLSContext {
    shared.withLock { shared in
      if let context = shared[options]?.context { return context }
      let context = TLSContext(options)
      shared = shared.filter { $0.value.context != nil }
      shared[options] = Weak(context: context)
      return context
    }
  }

  /// As the files are now, or were a moment ago.
  func current() throws(HTTPAccessError) -> Loaded {
    try files.withLock { files in
      var loaded = files.take() ?? PolledFiles(options.files) { [options] in try TLSContext.load(options) }
      _ = loaded.refresh()
      files = loaded
      return loaded.value
    }.get()
  }

  /// Looks at the files with the next connection, however recent the last look was.
  func lookSoon() { files.withLock { $0?.lookSoon() } }

  private static func load(_ options: HTTPClientOptions.TLS) throws -> Loaded {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.applicationProtocols = ["http/1.1"]
    // When a connection is closed, nothing is left to wait for.
    configuration.shutdownTimeout = .zero
    configuration.minimumTLSVersion = options.minimumVersion ?? .tlsv12
    configuration.maximumTLSVersion = options.maximumVersion
    // The name is checked by `PeerIdentity`.
    configuration.certificateVerification = options.skipsVerification ? .none : .noHostnameVerification
    if let ca = options.ca {
      configuration.trustRoots = .certificates(try Certificates.chain(ca, "ca"))
    } else if options.skipsVerification {
      configuration.trustRoots = .certificates([])
    } else if let file = systemRoots() {
      configuration.trustRoots = .file(file)
    }
    if let certificate = options.certificate, let key = options.key {
      configuration.certificateChain = try Certificates.chain(certificate, "cert").map { .certificate($0) }
      configuration.privateKey = .privateKey(try Certificates.privateKey(key, "key"))
    }
    do {
      return Loaded(
        context: try NIOSSLContext(configuration: configuration),
        number: numbers.add(1, ordering: .relaxed).newValue)
    } catch {
      throw TLSFault("the client's certificate and its key cannot be used together")
    }
  }

  /// The file of the system's certificate authorities, by Go's list (crypto/x509, root_linux.go); nil: NIOSSL's own
  /// way to find them, which knows folders too.
  private static func systemRoots() -> String? {
    let chosen = getenv("SSL_CERT_FILE").map { String(cString: $0) } ?? ""
    if !chosen.isEmpty { return chosen }
    return [
      "/etc/ssl/certs/ca-certificates.crt",  // Debian, Alpine
      "/etc/pki/tls/certs/ca-bundle.crt",  // Fedora, RHEL, Amazon Linux
      "/etc/ssl/ca-bundle.pem",  // SUSE
      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL 7 and later
      "/etc/ssl/cert.pem",  // Alpine
    ].first { access($0, R_OK) == 0 }
  }
}
