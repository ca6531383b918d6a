import HTTPClient

/// How samples wait for one remote and how fast they go; Prometheus' `queue_config` with its defaults.
public struct QueueOptions: Sendable {
  /// Samples held per shard; `capacity * maxShards` are held in all.
  public var capacity = 10_000
  /// Requests on their way at a time, at most.
  public var maxShards = 50
  /// Only shown as a metric: senders follow the backlog, and cost nothing while idle.
  public var minShards = 1
  /// Samples of a full request.
  public var maxSamplesPerSend = 2_000
  /// How long a sample may wait for a request to fill.
  public var batchSendDeadline = Duration.seconds(5)
  public var minBackoff = Duration.milliseconds(30)
  public var maxBackoff = Duration.seconds(5)
  public var retryOnHTTP429 = false
  /// Older samples are dropped before they are sent; nil: none are.
  public var sampleAgeLimit: Duration?
  /// Bytes of a compressed request; a longer one is sent in halves. 1 MB is what Amazon Managed Service for
  /// Prometheus takes.
  public var maxRequestBytes = 1_000_000

  public init() {}
}

/// One receiver of remote write; an entry of Prometheus' `remote_write`.
public struct RemoteWriteOptions: Sendable {
  public var url: HTTPURL
  /// Shown as `remote_name`; unique.
  public var name: String
  /// For one request, from its first to the last byte of the answer.
  public var timeout = Duration.seconds(30)
  /// Headers of every request beyond those of the protocol.
  public var headers: [(name: String, value: String)] = []
  public var userAgent: String
  public var queue = QueueOptions()

  /// - Parameter userAgent: `pilotfish/` and the version.
  public init(url: HTTPURL, name: String, userAgent: String) {
    self.url = url
    self.name = name
    self.userAgent = userAgent
  }
}

/// Sends one request and gives the whole answer, whatever its status; throws when there is none.
/// `HTTPClient.send(_:limits:)` is one.
public typealias RemoteTransport = @Sendable (HTTPRequest, HTTPLimits) async throws -> HTTPResponse

/// Completes a request before every attempt: signs it, or adds a token. When it throws, the samples are kept and the
/// request is tried again later.
public typealias RequestDecorator = @Sendable (inout HTTPRequest) async throws -> Void
