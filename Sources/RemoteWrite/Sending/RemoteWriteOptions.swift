import HTTPClient
import NIOCore
import Relabeling

/// How samples wait for one remote and how fast they go; Prometheus' `queue_config` with its defaults, but for
/// `retryOnHTTP429`.
public struct QueueOptions: Sendable, Equatable {
  /// Samples held in memory per shard when there is no log on disk; shown as a metric.
  public var capacity = 10_000
  /// Requests on their way at a time, at most.
  public var maxShards = 50
  /// Requests on their way with which a sender begins after a failure.
  public var minShards = 1
  /// Samples of a full request.
  public var maxSamplesPerSend = 2_000
  /// How long a sample may wait for a request to fill.
  public var batchSendDeadline = Duration.seconds(5)
  public var minBackoff = Duration.milliseconds(30)
  public var maxBackoff = Duration.seconds(5)
  /// True: throttling must not cost samples.
  public var retryOnHTTP429 = true
  /// Older samples are dropped before they are sent; nil: none are.
  public var sampleAgeLimit: Duration?
  /// Bytes of a compressed request; a longer one is sent in halves. 1 MB is what Amazon Managed Service for
  /// Prometheus takes.
  public var maxRequestBytes = 1_000_000

  public init() {}
}

/// When remote write 1.0 tells what families are; Prometheus' `metadata_config`.
public struct MetadataOptions: Sendable, Equatable {
  public var isSent = true
  public var interval = Duration.seconds(60)
  /// Families of one request.
  public var maxPerSend = 2_000

  public init() {}
}

/// The messages of remote write.
public enum RemoteWriteVersion: Sendable, Equatable {
  /// `prometheus.WriteRequest`.
  case v1
  /// `io.prometheus.write.v2.Request`.
  case v2
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
  /// TLS, credentials and proxy; nil: none of them.
  public var access: HTTPAccess?
  public var version = RemoteWriteVersion.v1
  public var sendsExemplars = false
  public var sendsHistograms = false
  public var queue = QueueOptions()
  public var metadata = MetadataOptions()
  /// Stands for what the remote's `decorate` depends on: after a reload, a remote with another one begins anew.
  public var decoration = 0
  /// `write_relabel_configs`.
  public var rules = RelabelRules()

  /// How long nothing is sent after credentials were refused: twice as long each time.
  var holdBackoff = Duration.seconds(2)...Duration.seconds(30)

  /// Samples that came in so long before a receiver said that another replica is elected are let go: the other one has
  /// delivered its own. Receivers elect anew after 30 s, so that it may be half a minute late.
  var standbyWindow = Duration.seconds(60)

  /// - Parameter userAgent: `pilotfish/` and the version.
  public init(url: HTTPURL, name: String, userAgent: String) {
    self.url = url
    self.name = name
    self.userAgent = userAgent
  }
}

/// Sends one request from an event loop and gives the whole answer there, once, whatever its status.
/// `HTTPClient.send(_:limits:on:completion:)` is one.
public typealias RemoteTransport =
  @Sendable (
    HTTPRequest, HTTPLimits, any EventLoop, @escaping (Result<HTTPResponse, HTTPClientError>) -> Void
  ) -> Void

/// Completes a request before every attempt: signs it, or adds a token. When it throws, the samples are kept and the
/// request is tried again later. It must not wait.
public typealias RequestDecorator = @Sendable (inout HTTPRequest) throws -> Void
