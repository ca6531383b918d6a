/// `HTTPClientOptions` at work: what its files hold, and the tokens that it got. One is shared by all requests of a job,
/// a remote or a mechanism of discovery.
public final class HTTPAccess: Sendable {
  public let options: HTTPClientOptions

  public init(_ options: HTTPClientOptions) { self.options = options }
}
