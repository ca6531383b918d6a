import AWS
import Exposition
import HTTPClient
import Relabeling
import YAML

/// One entry of `remote_write`.
public struct RemoteWriteConfiguration: Sendable, Equatable {
  /// A header of every request.
  public struct Header: Sendable, Equatable {
    public var name: String
    public var value: String
  }

  /// The `metadata_config` block, which says how help texts and types are sent by remote write 1.0.
  public struct Metadata: Sendable, Equatable {
    public var send = true
    public var sendInterval: Duration = .seconds(60)
    /// Families of a full request.
    public var maxSamplesPerSend = 2000
  }

  /// The protocol, by the name of its message.
  public enum Message: String, Sendable, CaseIterable {
    /// Remote write 1.0.
    case v1 = "prometheus.WriteRequest"
    /// Remote write 2.0.
    case v2 = "io.prometheus.write.v2.Request"
  }

  public var url: String
  /// Empty when the file gives none.
  public var name: String
  public var remoteTimeout: Duration = .seconds(30)
  public var headers: [Header] = []
  public var message = Message.v1
  public var sendExemplars = false
  public var sendNativeHistograms = false
  /// For the labels of series, external labels included.
  public var writeRelabelRules = RelabelRules()
  public var metadata = Metadata()
  public var queue = Queue()
  /// TLS, credentials and proxy.
  public var httpClient = HTTPClientOptions()
  /// Nil: requests are not signed.
  public var sigV4: SigV4Configuration?

  private static let keys = BlockKeys(
    served: [
      "url", "name", "remote_timeout", "headers", "protobuf_message", "send_exemplars", "send_native_histograms",
      "write_relabel_configs", "metadata_config", "queue_config", "round_robin_dns", "sigv4",
    ] + httpClientKeys,
    known: ["failed_request_logging", "azuread", "google_iam"])

  /// - Parameters:
  ///   - scheme: which names its rules may give to labels.
  ///   - directory: the folder of the configuration.
  init(_ block: BlockReader, _ scheme: NameScheme, _ directory: String) {
    url = block.string("url") ?? ""
    name = block.string("name") ?? ""
    sigV4 = SigV4Configuration(of: block)
    let isWorkspaceID = sigV4 != nil && WorkspaceURL.isWorkspaceID(url)
    if !isWorkspaceID, let fault = Self.fault(ofURL: url) { block.refuse("url", fault) }
    if let timeout = block.duration("remote_timeout") {
      remoteTimeout = timeout
      if timeout == .zero { block.refuse("remote_timeout", "must be greater than 0") }
    }
    headers = Self.headers(block)
    sigV4?.check(block, url: url, headers: headers)
    message = Self.message(block) ?? message
    sendExemplars = block.bool("send_exemplars") ?? sendExemplars
    sendNativeHistograms = block.bool("send_native_histograms") ?? sendNativeHistograms
    writeRelabelRules = block.relabelRules(
      "write_relabel_configs", scheme, null: "empty or null relabeling rule in remote write config")
    metadata = Metadata(of: block)
    queue = Queue(of: block)
    httpClient = block.httpClientOptions(directory)
    httpClient.spreadsConnections = block.bool("round_robin_dns") ?? false
  }

  /// Why the URL cannot be sent to; nil when it can. The URL itself is not repeated: a password may stand in it.
  private static func fault(ofURL url: String) -> String? {
    if url.isEmpty { return "url for remote_write is empty: it needs the URL of its receiver" }
    guard let separator = url.firstRange(of: "://") else { return "expected a URL such as http://HOST/api/v1/write" }
    switch url[..<separator.lowerBound].lowercased() {
    case "http", "https": break
    default: return "expected a URL that begins with http:// or https://"
    }
    let authority = url[separator.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    let host = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
    if host.hasPrefix("["), !host.contains("]") { return "missing ']' in host" }
    return host.isEmpty || host.hasPrefix(":") ? "the URL has no host" : nil
  }

  private static func message(_ block: BlockReader) -> Message? {
    guard let text = block.string("protobuf_message") else { return nil }
    if let message = Message(rawValue: text) { return message }
    let supported = Message.allCases.map(\.rawValue).joined(separator: ", ")
    block.refuse(
      "protobuf_message", "unknown remote write protobuf message \(shown(text)), supported: \(supported)")
    return nil
  }

  // MARK: Headers

  /// What the protocol, the transport and the signature set themselves.
  private static let reservedHeaders: Set<String> = [
    "host", "content-encoding", "content-length", "content-type", "user-agent", "connection", "keep-alive",
    "proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding", "transfer-encoding",
    "x-prometheus-remote-write-version", "x-prometheus-remote-read-version", "x-amz-date", "x-amz-security-token",
    "x-amz-content-sha256",
  ]

  private static func headers(_ block: BlockReader) -> [Header] {
    block.texts("headers").map { header in
      if let fault = fault(ofHeader: header.key, header.text) {
        block.problems.add(header.position, block.path(of: "headers", header.key), fault)
      }
      return Header(name: header.key, value: header.text)
    }
  }

  private static func fault(ofHeader name: String, _ value: String) -> String? {
    let lowercased = name.lowercased()
    if lowercased == "authorization" {
      return "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or "
        + "google_iam parameter"
    }
    if reservedHeaders.contains(lowercased) { return "\(shown(name)) is a reserved header. It must not be changed" }
    // RFC 9110, sections 5.1 and 5.5.
    let isToken = name.utf8.allSatisfy {
      ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || "!#$%&'*+-.^_`|~".utf8.contains($0)
    }
    if name.isEmpty || !isToken { return "not a header's name" }
    return value.utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7f } ? "not a header's value" : nil
  }

  /// - Parameter directory: the folder of the configuration.
  static func list(
    _ top: BlockReader, _ global: GlobalConfiguration, _ directory: String
  ) -> [RemoteWriteConfiguration] {
    var names: Set<[UInt8]> = []
    var earlier: [RemoteWriteConfiguration] = []
    return top.blocks("remote_write", keys).map { block in
      let remote = RemoteWriteConfiguration(block, global.names.scheme, directory)
      if !remote.name.isEmpty, !names.insert(Array(remote.name.utf8)).inserted {
        block.refuse("name", "found multiple remote write configs with job name \"\(shown(remote.name))\"")
      }
      if remote.name.isEmpty, !remote.url.isEmpty, earlier.contains(remote) {
        block.refuse(
          "url",
          "duplicate remote write configs are not allowed, found duplicate for URL: "
            + shown(Masking.withoutPassword(remote.url)))
      }
      earlier.append(remote)
      return remote
    }
  }
}

extension RemoteWriteConfiguration.Metadata {
  private static let keys = BlockKeys(served: ["send", "send_interval", "max_samples_per_send"])

  /// - Parameter remote: the entry of `remote_write`.
  fileprivate init(of remote: BlockReader) {
    self.init()
    guard let block = remote.block("metadata_config", Self.keys) else { return }
    send = block.bool("send") ?? send
    maxSamplesPerSend = block.positive("max_samples_per_send") ?? maxSamplesPerSend
    guard let interval = block.duration("send_interval") else { return }
    sendInterval = interval
    if interval == .zero { block.refuse("send_interval", "must be greater than 0") }
  }
}
