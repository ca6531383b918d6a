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
