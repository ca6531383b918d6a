import HTTPClient
import YAML

/// One entry of `http_sd_configs`.
public struct HTTPDiscoveryConfiguration: Sendable, Hashable {
  public var url: String
  /// How often the server is asked, and how long it may take.
  public var refreshInterval: Duration = .seconds(60)
  public var client = HTTPClientOptions()

  private static let keys = BlockKeys(served: ["url", "refresh_interval"] + httpClientKeys)

  public init(url: String) { self.url = url }

  private init(_ block: BlockReader, _ directory: String) {
    url = block.string("url") ?? ""
    do throws(HTTPURLError) {
      if url.isEmpty { block.refuse("url", "URL is missing") } else { _ = try HTTPURL(url) }
    } catch {
      block.refuse("url", "\(error)")
    }
    refreshInterval = block.refreshInterval ?? refreshInterval
    client = block.httpClientOptions(directory)
  }

  /// - Parameter directory: the folder of the configuration.
  static func list(_ job: BlockReader, _ directory: String) -> [HTTPDiscoveryConfiguration] {
    job.blocks("http_sd_configs", keys).map { HTTPDiscoveryConfiguration($0, directory) }
  }
}

extension BlockReader {
  /// The key `refresh_interval`, above 0.
  var refreshInterval: Duration? {
    guard let interval = duration("refresh_interval") else { return nil }
    if interval == .zero { refuse("refresh_interval", "must be greater than 0") }
    return interval
  }
}
