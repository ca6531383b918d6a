import Secrets

/// Who signs.
public struct Credentials: Sendable, Equatable {
  public var accessKeyID: String
  public var secretAccessKey: Secret
  /// Of temporary credentials.
  public var sessionToken: Secret?
  /// Nil: they do not expire.
  public var expiration: Timestamp?
  /// Where they came from, for people: `environment`, `profile amp`, `role arn:… by web identity`.
  public var source: String
  /// The sources that were looked at before, and why they had none.
  public var passedOver: [CredentialError.Attempt] = []

  public init(
    accessKeyID: String, secretAccessKey: Secret, sessionToken: Secret? = nil, expiration: Timestamp? = nil,
    source: String
  ) {
    self.accessKeyID = accessKeyID
    self.secretAccessKey = secretAccessKey
    self.sessionToken = sessionToken
    self.expiration = expiration
    self.source = source
  }
}

/// Why there are no credentials: one line, with each source that was looked at and why it gave none.
public struct CredentialError: Error, Equatable, CustomStringConvertible {
  /// A source, and why it has none.
  public struct Attempt: Sendable, Equatable {
    public var source: String
    public var reason: String
  }

  /// In the order in which they were tried.
  public var attempts: [Attempt]

  public init(_ attempts: [Attempt]) { self.attempts = attempts }

  init(_ source: String, _ reason: String) { attempts = [Attempt(source: source, reason: reason)] }

  public var description: String {
    guard !attempts.isEmpty else { return "no AWS credentials yet" }
    return "no AWS credentials: " + attempts.map { "\($0.source): \($0.reason)" }.joined(separator: "; ")
  }
}
