import HTTPClient
import Secrets
import YAML

/// One entry of `consul_sd_configs`.
public struct ConsulDiscoveryConfiguration: Sendable, Hashable {
  /// A label of nodes that a service must stand on.
  public struct NodeMeta: Sendable, Hashable {
    public var key: String
    public var value: String
  }

  /// HOST:PORT of Consul's HTTP API, or a URL.
  public var server = "localhost:8500"
  public var scheme = "http"
  /// Stands before the paths of the API.
  public var pathPrefix = ""
  public var token = Secret("")
  /// Empty: that of the agent that is asked.
  public var datacenter = ""
  public var namespace = ""
  public var partition = ""
  /// For basic authentication; the older way to say what `basic_auth` says.
  public var username = ""
  public var password = Secret("")
  /// The services to follow; none: all of them.
  public var services: [String] = []
  /// A service must have all of them.
  public var tags: [String] = []
  public var nodeMeta: [NodeMeta] = []
  public var tagSeparator = ","
  /// Whether servers other than the leader may answer.
  public var allowStale = true
  /// For the list of services, and for the instances of each: expressions that Consul evaluates.
  public var filter = ""
  public var healthFilter = ""
  /// The least time between two questions of the same kind.
  public var refreshInterval: Duration = .seconds(30)
  public var client = HTTPClientOptions()

  private static let keys = BlockKeys(
    served: [
      "server", "scheme", "path_prefix", "token", "datacenter", "namespace", "partition", "username", "password",
      "services", "tags", "node_meta", "tag_separator", "allow_stale", "filter", "health_filter", "refresh_interval",
    ] + httpClientKeys)

  public init() {}

  private init(_ block: BlockReader, _ directory: String) {
    server = block.string("server") ?? server
    scheme = block.string("scheme") ?? scheme
    pathPrefix = block.string("path_prefix") ?? pathPrefix
    token = block.string("token").map(Secret.init) ?? token
    datacenter = block.string("datacenter") ?? datacenter
    namespace = block.string("namespace") ?? namespace
    partition = block.string("partition") ?? partition
    username = block.string("username") ?? username
    password = block.string("password").map(Secret.init) ?? password
    if !username.isEmpty || !password.value.isEmpty, block.has("basic_auth") {
      block.refuse("username", "at most one of basic_auth and username and password may stand here")
    }
    if !token.value.isEmpty, block.has("authorization") || block.has("oauth2") {
      block.refuse("token", "at most one of token, authorization and oauth2 may stand here")
    }
    services = block.strings("services") { _ in nil }
    tags = block.strings("tags") { _ in nil }
    nodeMeta = block.texts("node_meta").map { NodeMeta(key: $0.key, value: $0.text) }
    tagSeparator = block.string("tag_separator") ?? tagSeparator
    allowStale = block.bool("allow_stale") ?? allowStale
    filter = block.string("filter") ?? filter
    healthFilter = block.string("health_filter") ?? healthFilter
    refreshInterval = block.refreshInterval ?? refreshInterval
    client = block.httpClientOptions(directory)
    guard server.utf8.contains(where: { $0 != UInt8(ascii: " ") }) else {
      block.refuse("server", "a server address is required")
      return
    }
    do throws(HTTPURLError) { _ = try url("/") } catch { block.refuse("server", "\(error)") }
  }

  /// Where a path of the API is.
  public func url(_ path: String) throws(HTTPURLError) -> HTTPURL {
    let prefix = pathPrefix.isEmpty || pathPrefix.hasPrefix("/") ? pathPrefix : "/" + pathPrefix
    let base = (server.contains("://") ? server : "\(scheme)://\(server)") + prefix
    return try HTTPURL((base.hasSuffix("/") ? String(base.dropLast()) : base) + path)
  }

  /// - Parameter directory: the folder of the configuration.
  static func list(_ job: BlockReader, _ directory: String) -> [ConsulDiscoveryConfiguration] {
    job.blocks("consul_sd_configs", keys).map { ConsulDiscoveryConfiguration($0, directory) }
  }
}
