import AWS
import Configuration
import HTTPClient
import RemoteWrite

/// A remote_write that signs its requests for AWS.
struct Signing {
  /// The remote's URL, completed.
  let url: String
  let signer: RequestSigner
  /// With which the signer signs.
  let credentials: CredentialOptions

  /// - Parameter url: as the configuration has it: a URL, or a workspace id.
  /// - Throws: when it is a workspace id and nothing says its region.
  init(_ configuration: SigV4Configuration, url: String, _ aws: AWSAccounts) throws {
    var credentials = configuration.credentials
    let workspace = try WorkspaceURL(url, region: Region.configured(credentials, aws.environment))
    credentials.fallbackRegion = workspace.region ?? ""
    self.url = workspace.text
    // The URL's goes before that of the environment: ECS and EKS set that to where they run.
    let region = credentials.region.isEmpty ? workspace.region : credentials.region
    self.credentials = credentials
    signer = aws.signer(credentials, service: configuration.serviceName, region: region)
  }
}

extension RequestSigner {
  /// A remote whose every attempt is signed, and which tells the signer what was refused.
  func remote(_ options: RemoteWriteOptions, _ transport: @escaping RemoteTransport) -> Remote {
    Remote(options) { request, limits, eventLoop, completion in
      transport(request, limits, eventLoop) { result in
        if case .success(let response) = result { self.answered(response) }
        completion(result)
      }
    } decorate: { request in
      try self.sign(&request)
    }
  }
}

extension Remote {
  /// A remote that writes to a workspace of AMP: its answers mean what AMP means by them, and what AMP would refuse for
  /// its age is dropped before it is sent.
  mutating func becomeWorkspace() {
    readAnswer = AnswerMeaning.ofWorkspace
    options.queue.sampleAgeLimit = options.queue.sampleAgeLimit ?? .seconds(3600)
  }
}

extension AnswerMeaning {
  fileprivate static func ofWorkspace(_ response: HTTPResponse) -> AnswerMeaning? {
    WorkspaceAnswer(response).map {
      AnswerMeaning(Verdict($0.action), reason: $0.reason, text: $0.text, remedy: $0.remedy)
    }
  }
}

extension Verdict {
  fileprivate init(_ action: WorkspaceAnswer.Action) {
    self =
      switch action {
      case .retry: .retry
      case .retrySlowly: .slow
      // The signer has seen the answer too.
      case .hold, .refresh, .resync: .hold
      case .split: .split
      case .otherVersion: .otherVersion
      case .giveUpPart: .takenInPart
      case .giveUp: .drop
      }
  }
}
