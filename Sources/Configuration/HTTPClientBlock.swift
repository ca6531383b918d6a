import HTTPClient
import NIOSSL
import Secrets
import YAML

/// What Prometheus' HTTP client takes, in every block that has one
/// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config).
let httpClientKeys =
  [
    "basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file", "tls_config", "follow_redirects",
    "enable_http2", "http_headers",
  ] + proxyKeys

private let proxyKeys = ["proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header"]

extension BlockReader {
  private static let basicKeys = BlockKeys(
    served: ["username", "username_file", "password", "password_file"], known: ["username_ref", "password_ref"])
  private static let authorizationKeys = BlockKeys(
    served: ["type", "credentials", "credentials_file"], known: ["credentials_ref"])
  private static let oauth2Keys = BlockKeys(
    served: [
      "client_id", "client_secret", "client_secret_file", "scopes", "token_url", "endpoint_params", "tls_config",
    ] + proxyKeys,
    known: [
      "client_secret_ref", "client_certificate_key", "client_certificate_key_file", "client_certificate_key_id",
      "signature_algorithm", "iss", "audience", "claims", "grant_type",
    ])
  private static let tlsKeys = BlockKeys(
    served: [
      "ca", "ca_file", "cert", "cert_file", "key", "key_file", "server_name", "insecure_skip_verify", "min_version",
      "max_version",
    ], known: ["ca_ref", "cert_ref", "key_ref"])
  private static let headerKeys = BlockKeys(served: ["values", "secrets", "files"])

  /// The keys `httpClientKeys` of this block.
  ///
  /// - Parameter directory: the folder of the configuration, from which relative paths count.
  func httpClientOptions(_ directory: String) -> HTTPClientOptions {
    var options = HTTPClientOptions()
    options.tls = tlsOptions(directory)
    options.credentials = credentials(directory)
    options.proxy = proxyOptions()
    options.headers = headers("http_headers", directory)
    options.followsRedirects = bool("follow_redirects") ?? true
    // HTTP/1.1 is spoken, whatever stands there.
    _ = bool("enable_http2")
    return options
  }

  // MARK: Credentials

  private func credentials(_ directory: String) -> HTTPClientOptions.Credentials {
    let hasBearer = text("bearer_token") != nil || text("bearer_token_file") != nil
    if text("bearer_token") != nil, text("bearer_token_file") != nil {
      refuse("bearer_token_file", "at most one of bearer_token & bearer_token_file must be configured")
    }
    if has("basic_auth") || has("oauth2"), hasBearer {
      refuse(
        has("basic_auth") ? "basic_auth" : "oauth2",
        "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured")
    }
    if has("authorization"), hasBearer {
      refuse("authorization", "authorization is not compatible with bearer_token & bearer_token_file")
    }
    if [has("basic_auth"), has("oauth2"), has("authorization")].count(where: { $0 }) > 1 {
      refuse(
        has("oauth2") ? "oauth2" : "authorization",
        "at most one of basic_auth, oauth2 & authorization must be configured")
    }
    if let basic = block("basic_auth", Self.basicKeys) {
      let user = basic.source(
        "username", directory, "at most one of basic_auth username & username_file must be configured")
      let password = basic.source(
        "password", directory, "at most one of basic_auth password & password_file must be configured")
      return .basic(user: user ?? .text(Secret("")), password: password ?? .text(Secret("")))
    }
    if let authorization = block("authorization", Self.authorizationKeys) {
      return authorization.authorization(directory)
    }
    if let oauth2 = block("oauth2", Self.oauth2Keys) { return oauth2.oauth2(directory) }
    return source("bearer_token", directory, nil).map { .bearer($0) } ?? .none
  }

  private func authorization(_ directory: String) -> HTTPClientOptions.Credentials {
    let type = text("type").map { String($0.trimmed) } ?? ""
    if type.lowercased() == "basic" {
      refuse("type", "authorization type cannot be set to \"basic\", use \"basic_auth\" instead")
    }
    let credentials = source(
      "credentials", directory, "at most one of authorization credentials & credentials_file must be configured")
    return .authorization(type: type.isEmpty ? "Bearer" : type, credentials: credentials)
  }

  private func oauth2(_ directory: String) -> HTTPClientOptions.Credentials {
    let id = text("client_id")
    if id == nil { refuse("client_id", "oauth2 client_id must be configured") }
    if text("token_url") == nil { refuse("token_url", "oauth2 token_url must be configured") }
    let secret = source(
      "client_secret", directory, "at most one of oauth2 client_secret & client_secret_file must be configured")
    let tls = tlsOptions(directory)
    let proxy = proxyOptions()
    let scopes = strings("scopes") { _ in nil }
    let parameters = texts("endpoint_params")
    guard let id, let url = url("token_url") else { return .none }
    var oauth2 = HTTPClientOptions.OAuth2(clientID: id, tokenURL: url)
    oauth2.clientSecret = secret
    oauth2.scopes = scopes
    for parameter in parameters { oauth2.endpointParameters[parameter.key] = parameter.text }
    oauth2.tls = tls
    oauth2.proxy = proxy
    return .oauth2(oauth2)
  }

  // MARK: TLS

  private func tlsOptions(_ directory: String) -> HTTPClientOptions.TLS {
    var tls = HTTPClientOptions.TLS()
    guard let block = block("tls_config", Self.tlsKeys) else { return tls }
    tls.ca = block.source("ca", directory, "at most one of ca & ca_file must be configured")
    tls.certificate = block.source("cert", directory, "at most one of cert & cert_file must be configured")
    tls.key = block.source("key", directory, "at most one of key and key_file must be configured")
    if tls.certificate != nil, tls.key == nil {
      block.refuse(
        block.has("cert") ? "cert" : "cert_file",
        "exactly one of key or key_file must be configured when a client certificate is configured")
    } else if tls.key != nil, tls.certificate == nil {
      block.refuse(
        block.has("key") ? "key" : "key_file",
        "exactly one of cert or cert_file must be configured when a client key is configured")
    }
    tls.serverName = block.text("server_name")
    tls.skipsVerification = block.bool("insecure_skip_verify") ?? false
    tls.minimumVersion = block.tlsVersion("min_version")
    tls.maximumVersion = block.tlsVersion("max_version")
    if let low = block.text("min_version"), let high = block.text("max_version"), high < low {
      block.refuse(
        "max_version",
        "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified")
    }
    return tls
  }

  private func tlsVersion(_ key: String) -> TLSVersion? {
    guard let name = text(key) else { return nil }
    if TLSNames.versions[name] == nil { refuse(key, "unknown TLS version: \(shown(name))") }
    return TLSNames.versions[name]
  }

  // MARK: Proxies

  private func proxyOptions() -> HTTPClientOptions.Proxy {
    var proxy = HTTPClientOptions.Proxy()
    proxy.isFromEnvironment = bool("proxy_from_environment") ?? false
    proxy.exceptions = text("no_proxy") ?? ""
    if text("proxy_url") != nil, let url = url("proxy_url") {
      if url.scheme != "http" { refuse("proxy_url", "a proxy is asked by http: expected http://HOST:PORT") }
      proxy.url = url
    }
    proxy.connectHeaders = pairs("proxy_connect_header").map { pair in
      let path = path(of: "proxy_connect_header", pair.key)
      return .init(name: headerName(pair, path), values: list(pair.value, path).map { .text(Secret($0)) })
    }
    let hasURL = text("proxy_url") != nil
    if has("proxy_connect_header"), !proxy.connectHeaders.isEmpty, !hasURL, !proxy.isFromEnvironment {
      refuse(
        "proxy_connect_header",
        "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured")
    }
    if proxy.isFromEnvironment, hasURL {
      refuse("proxy_url", "if proxy_from_environment is configured, proxy_url must not be configured")
    }
    if !proxy.exceptions.isEmpty, proxy.isFromEnvironment {
      refuse("no_proxy", "if proxy_from_environment is configured, no_proxy must not be configured")
    } else if !proxy.exceptions.isEmpty, !hasURL {
      refuse("no_proxy", "if no_proxy is configured, proxy_url must also be configured")
    }
    return proxy
  }

  // MARK: Headers

  /// What is set otherwise, or by the protocol.
  private static let reservedHeaders: Set<String> = [
    "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent", "connection",
    "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding",
    "transfer-encoding", "x-prometheus-remote-write-version", "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256",
  ]

  private func headers(_ key: String, _ directory: String) -> [HTTPClientOptions.Header] {
    pairs(key).map { pair in
      let path = path(of: key, pair.key)
      if Self.reservedHeaders.contains(pair.key.lowercased()) {
        problems.add(pair.position, path, "setting header \"\(canonical(pair.key))\" is not allowed")
      }
      let name = headerName(pair, path)
      let block = BlockReader(pair.value, path, Self.headerKeys, problems)
      let fault = { (value: String) in isFieldValue(value) ? nil : "not a header's value" }
      let values = block.strings("values", fault: fault) + block.strings("secrets", fault: fault)
      let files = block.strings("files") { $0.isEmpty ? "expected the path of a file" : nil }
      return .init(
        name: name, values: values.map { .text(Secret($0)) } + files.map { .file(joined(directory, $0)) })
    }
  }

  private func headerName(
    _ pair: (key: String, position: YAMLNode.Position, value: YAMLNode), _ path: String
  ) -> String {
    // RFC 9110, section 5.1.
    let isToken = pair.key.utf8.allSatisfy {
      ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || "!#$%&'*+-.^_`|~".utf8.contains($0)
    }
    if pair.key.isEmpty || !isToken { problems.add(pair.position, path, "not a header's name") }
    return pair.key
  }

  /// A list of header values.
  private func list(_ node: YAMLNode, _ path: String) -> [String] {
    if case .null = node.content { return [] }
    guard case .sequence(let values) = node.content else {
      problems.add(node.position, path, "expected a list of values, found \(node.kind)")
      return []
    }
    return values.compactMap { value in
      guard case .scalar(let text, _) = value.content, isFieldValue(text) else {
        problems.add(value.position, path, "not a header's value")
        return nil
      }
      return text
    }
  }

  // MARK: Values

  /// A text that is not empty.
  private func text(_ key: String) -> String? { string(key).flatMap { $0.isEmpty ? nil : $0 } }

  /// The secret of `key` itself, or of the file that `key` with `_file` names.
  ///
  /// - Parameter conflict: what is said when both are there; nil: it has been said.
  private func source(_ key: String, _ directory: String, _ conflict: String?) -> SecretSource? {
    let path = text("\(key)_file")
    if let value = text(key) {
      if path != nil, let conflict { refuse("\(key)_file", conflict) }
      return .text(Secret(value))
    }
    return path.map { .file(joined(directory, $0)) }
  }

  private func url(_ key: String) -> HTTPURL? {
    guard let text = text(key) else { return nil }
    do throws(HTTPURLError) {
      return try HTTPURL(text)
    } catch {
      refuse(key, "\(error)")
      return nil
    }
  }
}

private func joined(_ directory: String, _ path: String) -> String {
  path.hasPrefix("/") || directory.isEmpty ? path : "\(directory)/\(path)"
}

/// RFC 9110, section 5.5.
private func isFieldValue(_ text: String) -> Bool { !text.utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7f } }

/// As Go's textproto.CanonicalMIMEHeaderKey.
private func canonical(_ name: String) -> String {
  name.split(separator: "-", omittingEmptySubsequences: false).map {
    $0.prefix(1).uppercased() + $0.dropFirst().lowercased()
  }
  .joined(separator: "-")
}

extension String {
  fileprivate var trimmed: Substring {
    var text = drop(while: \.isWhitespace)
    while text.last?.isWhitespace == true { text.removeLast() }
    return text
  }
}
