import Configuration
import Exposition
import Glibc
import HTTPClient
import RemoteWrite

/// What the agent makes of its configuration.
enum AgentConfiguration {
  /// Reads a file; its external labels may name variables of the environment.
  ///
  /// - Throws: `ConfigurationError`, with all faults of the file.
  static func load(_ path: String) throws -> Configuration {
    try Configuration.load(path) { name in getenv(name).map { String(cString: $0) } }
  }

  static func externalLabels(_ configuration: Configuration) -> LabelSet {
    LabelSet(configuration.global.externalLabels.map { (name: $0.name, value: $0.value) })
  }

  /// The receivers, in the order of the file.
  ///
  /// - Throws: for the first whose URL cannot be asked.
  static func remotes(
    _ configuration: Configuration, _ client: HTTPClient, userAgent: String
  ) throws(RemoteURLFault) -> [Remote] {
    var remotes: [Remote] = []
    for (index, remote) in configuration.remoteWrites.enumerated() {
      let url: HTTPURL
      do throws(HTTPURLError) {
        url = try HTTPURL(remote.url)
      } catch {
        throw RemoteURLFault(index: index, reason: "\(error)")
      }
      let name = remote.name.isEmpty ? "remote-\(index)" : remote.name
      var options = RemoteWriteOptions(url: url, name: name, userAgent: userAgent)
      options.timeout = remote.remoteTimeout
      options.access = client.access(remote.httpClient)
      options.headers = remote.headers.map { ($0.name, $0.value) }
      options.queue.take(remote.queue)
      options.version = remote.message == .v2 ? .v2 : .v1
      options.sendsExemplars = remote.sendExemplars
      options.sendsHistograms = remote.sendNativeHistograms
      options.rules = remote.writeRelabelRules
      options.metadata.isSent = remote.metadata.send
      options.metadata.interval = remote.metadata.sendInterval
      options.metadata.maxPerSend = remote.metadata.maxSamplesPerSend
      remotes.append(Remote(options) { client.send($0, limits: $1, on: $2, completion: $3) })
    }
    return remotes
  }
}

extension QueueOptions {
  fileprivate mutating func take(_ queue: RemoteWriteConfiguration.Queue) {
    capacity = queue.capacity
    maxShards = queue.maxShards
    minShards = queue.minShards
    maxSamplesPerSend = queue.maxSamplesPerSend
    batchSendDeadline = queue.batchSendDeadline
    minBackoff = queue.minBackoff
    maxBackoff = queue.maxBackoff
    retryOnHTTP429 = queue.retryOnHTTP429
    sampleAgeLimit = queue.sampleAgeLimit > .zero ? queue.sampleAgeLimit : nil
  }
}

/// A remote_write whose URL cannot be asked. The URL itself is not shown: a password may stand in it.
struct RemoteURLFault: Error, CustomStringConvertible {
  let index: Int
  let reason: String
  var description: String { "remote_write[\(index)].url: \(reason)" }
}
