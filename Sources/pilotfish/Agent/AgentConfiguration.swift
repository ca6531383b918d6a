import AWS
import Configuration
import Exposition
import Flags
import Glibc
import HTTPClient
import RemoteWrite

/// Where the agent's configuration stands.
enum ConfigurationText {
  /// What may hold the whole configuration where there is no file: ECS puts a parameter of SSM there, for one.
  static let variable = "PILOTFISH_CONFIG_CONTENT"

  case file(String)
  /// In the environment, which stays as it was at the start.
  case environment([UInt8])

  /// - Parameter file: goes before the environment when it is given.
  init(_ flags: FlagValues, _ file: Flag<String>) {
    self = (flags.isGiven(file) ? nil : Self.ofEnvironment) ?? .file(flags[file])
  }

  /// Nil when the environment holds none.
  static var ofEnvironment: ConfigurationText? {
    guard let text = getenv(variable), text[0] != 0 else { return nil }
    return .environment(Array(String(cString: text).utf8))
  }

  /// How logs and errors name it.
  var name: String {
    switch self {
    case .file(let path): path
    case .environment: Self.variable
    }
  }

  /// - Throws: `ConfigurationError`, with all faults of the text.
  func load(_ options: Configuration.Options) throws -> Configuration {
    switch self {
    case .file(let path): try AgentConfiguration.load(path, options)
    case .environment(let text):
      try Configuration.parse(text, file: name, options: options, environment: AgentConfiguration.variable)
    }
  }
}

/// What the agent makes of its configuration.
enum AgentConfiguration {
  /// Reads a file; its external labels may name variables of the environment.
  ///
  /// - Throws: `ConfigurationError`, with all faults of the file.
  static func load(
    _ path: String, _ options: Configuration.Options = Configuration.Options()
  ) throws -> Configuration {
    try Configuration.load(path, options: options, environment: variable)
  }

  /// A variable of the environment.
  static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  /// What is not in force though it stands in the file; nil for nothing.
  static func warning(_ configuration: Configuration) -> String? {
    let blocks = configuration.ignoredBlocks
    return blocks.isEmpty ? nil : "\(blocks.joined(separator: ", ")) ignored: an agent has no use for it"
  }

  static func externalLabels(_ configuration: Configuration) -> LabelSet {
    LabelSet(configuration.global.externalLabels.map { (name: $0.name, value: $0.value) })
  }

  /// A receiver's own, or one by its place.
  static func name(_ remote: RemoteWriteConfiguration, at index: Int) -> String {
    remote.name.isEmpty ? "remote-\(index)" : remote.name
  }

  /// The receivers, in the order of the file.
  ///
  /// - Throws: for the first whose URL cannot be asked.
  static func remotes(
    _ configuration: Configuration, _ client: HTTPClient, _ aws: AWSAccounts, userAgent: String
  ) throws(RemoteURLFault) -> [Remote] {
    var remotes: [Remote] = []
    for (index, remote) in configuration.remoteWrites.enumerated() {
      let url: HTTPURL
      let signer: RequestSigner?
      do {
        let signing = try remote.sigV4.map { try Signing($0, url: remote.url, aws) }
        url = try HTTPURL(signing?.url ?? remote.url)
        signer = signing?.signer
      } catch {
        throw RemoteURLFault(index: index, reason: "\(error)")
      }
      var options = RemoteWriteOptions(url: url, name: name(remote, at: index), userAgent: userAgent)
      options.timeout = remote.remoteTimeout
      options.access = client.access(remote.httpClient)
      options.headers = remote.headers.map { ($0.name, $0.value) }
      options.queue.take(remote.queue)
      options.version = remote.message == .v2 ? .v2 : .v1
      options.sendsExemplars = remote.sendExemplars
      options.sendsHistograms = remote.sendNativeHistograms
      options.rules = remote.writeRelabelRules
      options.decoration = remote.sigV4.hashValue
      options.metadata.isSent = remote.metadata.send
      options.metadata.interval = remote.metadata.sendInterval
      options.metadata.maxPerSend = remote.metadata.maxSamplesPerSend
      let transport: RemoteTransport = { client.send($0, limits: $1, on: $2, completion: $3) }
      var receiver = signer?.remote(options, transport) ?? Remote(options, transport: transport)
      if remote.isWorkspace { receiver.becomeWorkspace() }
      remotes.append(receiver)
    }
    return remotes
  }
}

extension RemoteWriteConfiguration {
  /// Whether it writes to Amazon Managed Service for Prometheus, by its signature or its URL.
  fileprivate var isWorkspace: Bool {
    sigV4?.serviceName == "aps" || (try? WorkspaceURL(url, region: nil))?.isWorkspace == true
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
