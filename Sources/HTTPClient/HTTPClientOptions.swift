import NIOSSL
import Secrets

/// How servers of one kind are asked, as a block of the configuration says it: by which TLS, as whom, through which
/// proxy (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config).
public struct HTTPClientOptions: Sendable, Hashable {
  /// `tls_config`
  public var tls = TLS()
  /// `basic_auth`, `authorization` or `oauth2`
  public var credentials = Credentials.none
  /// `proxy_url` and its like
  public var proxy = Proxy()
  /// `http_headers`: what every request carries besides its own headers.
  public var headers: [Header] = []
  /// `follow_redirects`
  public var followsRedirects = true
  /// `round_robin_dns`: each connection goes to any one of the addresses of the server's name, by chance.
  public var spreadsConnections = false

  public init() {}

  /// The `tls_config` block.
  public struct TLS: Sendable, Hashable {
    /// The certificates of which one must have signed that of the server; nil: those of the system.
    public var ca: SecretSource?
    /// The client's own; it has a key as well.
    public var certificate: SecretSource?
    public var key: SecretSource?
    /// What the server's certificate must name in place of the URL's host.
    public var serverName: String?
    /// Whether any server will do.
    public var skipsVerification = false
    /// Nil: 1.2.
    public var minimumVersion: TLSVersion?
    /// Nil: the newest.
    public var maximumVersion: TLSVersion?

    public init() {}

    /// The files that this names.
    var files: [String] { [ca, certificate, key].compactMap { $0?.path } }
  }

  /// Who asks.
  public enum Credentials: Sendable, Hashable {
    case none
    /// RFC 7617
    case basic(user: SecretSource, password: SecretSource)
    /// `Authorization: TYPE CREDENTIALS`; without credentials the type alone is sent.
    case authorization(type: String, credentials: SecretSource?)
    case oauth2(OAuth2)

    /// The token of a file, or of a text, as RFC 6750 has it.
    public static func bearer(_ token: SecretSource) -> Credentials {
      .authorization(type: "Bearer", credentials: token)
    }
  }

  /// The `oauth2` block: client credentials (RFC 6749, section 4.4).
  public struct OAuth2: Sendable, Hashable {
    public var clientID: String
    public var clientSecret: SecretSource?
    public var tokenURL: HTTPURL
    public var scopes: [String] = []
    /// Further parameters of the request for a token, by name.
    public var endpointParameters: [String: String] = [:]
    /// How the token's server is asked; not that of the targets.
    public var tls = TLS()
    public var proxy = Proxy()

    public init(clientID: String, tokenURL: HTTPURL) {
      self.clientID = clientID
      self.tokenURL = tokenURL
    }
  }

  /// Through which proxy servers are asked.
  public struct Proxy: Sendable, Hashable {
    /// `proxy_url`; http only.
    public var url: HTTPURL?
    /// `no_proxy`: who is asked directly, as the environment's NO_PROXY says it.
    public var exceptions = ""
    /// Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment count.
    public var isFromEnvironment = false
    /// `proxy_connect_header`: what the proxy gets with a CONNECT.
    public var connectHeaders: [Header] = []

    public init() {}
  }

  /// A header of every request, once for each value.
  public struct Header: Sendable, Hashable {
    public var name: String
    public var values: [SecretSource]

    public init(name: String, values: [SecretSource]) {
      self.name = name
      self.values = values
    }
  }
}

/// Why a server cannot be asked as the options say. Shows paths, never what is in them.
public struct HTTPAccessError: Error, Equatable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}
