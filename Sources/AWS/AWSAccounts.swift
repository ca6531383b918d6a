import HTTPClient
import Synchronization

/// The credentials of a process: blocks of the configuration that say the same share them, and a reload goes on with
/// those that it had.
public final class AWSAccounts: Sendable {
  private struct Weak {
    weak var provider: CredentialProvider?
  }

  public let environment: AWSEnvironment
  private let providers = Mutex<[CredentialOptions: Weak]>([:])

  public init(_ environment: AWSEnvironment) { self.environment = environment }

  /// Begins to look for the credentials, if nobody has them yet. They are kept fresh as long as somebody holds the
  /// provider.
  public func provider(_ options: CredentialOptions) -> CredentialProvider {
    providers.withLock { providers in
      if let known = providers[options]?.provider { return known }
      let provider = CredentialProvider(CredentialChain(options: options, environment: environment))
      providers = providers.filter { $0.value.provider != nil }
      providers[options] = Weak(provider: provider)
      return provider
    }
  }

  /// - Parameters:
  ///   - service: the name under which it signs, as `aps`.
  ///   - region: nil: what the credentials' chain finds.
  public func signer(_ options: CredentialOptions, service: String, region: String?) -> RequestSigner {
    RequestSigner(provider(options), service: service, region: region, environment.clock)
  }

  /// All that are in use, for pages and metrics.
  public var all: [CredentialProvider] { providers.withLock { $0.values.compactMap(\.provider) } }
}

/// Signs requests to one service.
public final class RequestSigner: Sendable {
  public let provider: CredentialProvider
  private let service: String
  private let region: String?
  private let clock: AWSClock
  private let keys = SigningKeys()

  init(_ provider: CredentialProvider, service: String, region: String?, _ clock: AWSClock) {
    self.provider = provider
    self.service = service
    self.region = region
    self.clock = clock
  }

  /// Signs a request that is sent at once; to be called before every attempt. It does not wait.
  ///
  /// - Throws: `CredentialError` when there is nothing to sign with.
  public func sign(_ request: inout HTTPRequest) throws(CredentialError) {
    let credentials = try provider.current()
    guard let region = region ?? provider.region else {
      throw CredentialError("signature", "no region: set region, or AWS_REGION in the environment")
    }
    request.sign(credentials, SigningScope(region: region, service: service), at: clock.now, keys)
  }

  /// What says that AWS takes other credentials where it did not take these: texts and codes. That a role may not do
  /// something, or that a signature is wrong, no refresh changes.
  private static let signsOfBadCredentials = [
    "security token included in the request is", "ExpiredToken", "InvalidClientTokenId", "UnrecognizedClientException",
    "AuthFailure",
  ]

  /// Takes what was answered to a request that was signed: when the credentials were refused, they are asked for anew,
  /// and a clock that is wrong is corrected.
  public func answered(_ response: HTTPResponse) {
    guard [400, 401, 403].contains(response.status) else { return }
    clock.observe(response.header("Date"))
    let text =
      (response.header("x-amzn-ErrorType") ?? "")
      + String(decoding: response.body.readableBytesView.prefix(2048), as: UTF8.self)
    if Self.signsOfBadCredentials.contains(where: { text.firstRange(of: $0) != nil }) { provider.refused() }
  }
}
