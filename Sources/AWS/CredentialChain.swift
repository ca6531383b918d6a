// Where credentials come from, in the order of the AWS SDKs
// (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html).

import Secrets

/// What a block of the configuration says of credentials; without anything, the SDKs' chain decides.
public struct CredentialOptions: Sendable, Hashable {
  /// Static credentials, both or neither.
  public var accessKey = ""
  public var secretKey = Secret("")
  /// A profile of the shared files, which then is the only source.
  public var profile = ""
  /// A role that is assumed with the credentials found.
  public var roleARN = ""
  /// What the role's trust policy may ask for.
  public var externalID = ""
  /// Empty: that of the environment, the profile, `fallbackRegion` or the instance.
  public var region = ""
  /// The region of what is asked, when nothing else says one.
  public var fallbackRegion = ""
  public var usesFIPSForSTS = false

  public init() {}
}

/// Asks the sources, one after the other. A source that is not configured is passed over; one that is, and fails, ends
/// the chain: other credentials than those that were meant would only be refused, or write to the wrong account.
struct CredentialChain: Sendable {
  let options: CredentialOptions
  let environment: AWSEnvironment

  private typealias Attempts = [CredentialError.Attempt]

  func retrieve() async throws(CredentialError) -> Credentials {
    var attempts: Attempts = []
    var credentials = try await base(&attempts)
    if !options.roleARN.isEmpty {
      credentials = try await sts().assume(
        STS.Role(arn: options.roleARN, externalID: options.externalID.isEmpty ? nil : options.externalID),
        as: credentials)
    }
    credentials.passedOver = attempts
    return credentials
  }

  private func base(_ attempts: inout Attempts) async throws(CredentialError) -> Credentials {
    if !options.accessKey.isEmpty {
      return Credentials(
        accessKeyID: options.accessKey, secretAccessKey: options.secretKey, source: "the configuration's keys")
    }
    let profiles = try SharedProfiles(environment)
    if options.profile.isEmpty {
      if let credentials = environmentKeys(&attempts) { return credentials }
      if let file = environment["AWS_WEB_IDENTITY_TOKEN_FILE"], let role = environment["AWS_ROLE_ARN"] {
        let role = STS.Role(arn: role, sessionName: environment["AWS_ROLE_SESSION_NAME"])
        return try await sts().assume(role, tokenFile: file)
      }
      attempts.add("web identity", "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN are not both set")
    }
    let name = options.profile.isEmpty ? profiles.selected : options.profile
    if profiles[name ?? "default"] == nil, let name, name != "default" {
      throw CredentialError(attempts + [.init(source: "profile \(name)", reason: profiles.absence)])
    }
    return try await credentials(ofProfile: name ?? "default", profiles, [], &attempts)
  }

  private func environmentKeys(_ attempts: inout Attempts) -> Credentials? {
    let key = environment["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]
    let secret = environment["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]
    guard let key, let secret else {
      attempts.add(
        "environment",
        key == nil
          ? secret == nil ? "AWS_ACCESS_KEY_ID is not set" : "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not"
          : "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not")
      return nil
    }
    return Credentials(
      accessKeyID: key, secretAccessKey: Secret(secret),
      sessionToken: environment["AWS_SESSION_TOKEN"].map(Secret.init),
      source: "environment")
  }

  // MARK: Profiles

  /// - Parameter visited: the profiles that led here by `source_profile`.
  private func credentials(
    ofProfile name: String, _ profiles: SharedProfiles, _ visited: [String], _ attempts: inout Attempts
  ) async throws(CredentialError) -> Credentials {
    let source = "profile \(name)"
    guard let profile = profiles[name] else {
      if !visited.isEmpty { throw CredentialError(attempts + [.init(source: source, reason: profiles.absence)]) }
      attempts.add(source, profiles.absence)
      return try await credentialsOfMachine(&attempts)
    }
    let credentials: Credentials
    if let next = profile["source_profile"], next != name || profile.staticKeys(source) == nil {
      guard !visited.contains(name), next != name else {
        throw CredentialError(source, "source_profile leads back to it")
      }
      credentials = try await self.credentials(ofProfile: next, profiles, visited + [name], &attempts)
    } else if let keys = profile.staticKeys(source) {
      credentials = keys
    } else if let kind = profile["credential_source"] {
      credentials = try await self.credentials(bySource: kind, source, &attempts)
    } else if let file = profile["web_identity_token_file"] {
      guard let role = profile.role else { throw CredentialError(source, "web_identity_token_file needs role_arn") }
      return try await sts().assume(role, tokenFile: file)
    } else if let command = profile["credential_process"] {
      credentials = try await CredentialProcess.run(command, source: source)
    } else {
      let hasSSO = profile["sso_session"] != nil || profile["sso_start_url"] != nil
      attempts.add(source, hasSSO ? "SSO is for people, and not served" : "it has no credentials")
      credentials = try await credentialsOfMachine(&attempts)
    }
    guard let role = profile.role else { return credentials }
    return try await sts().assume(role, as: credentials)
  }

  private func credentials(
    bySource kind: String, _ profile: String, _ attempts: inout Attempts
  ) async throws(CredentialError) -> Credentials {
    let found: Credentials?
    switch kind {
    case "Environment": found = environmentKeys(&attempts)
    case "EcsContainer": found = try await container(&attempts)
    case "Ec2InstanceMetadata": found = try await instance(&attempts)
    default:
      throw CredentialError(
        profile, "credential_source is none of Environment, Ec2InstanceMetadata and EcsContainer")
    }
    guard let found else { throw CredentialError(attempts) }
    return found
  }

  // MARK: The machine

  /// Those of the container, else those of the instance.
  private func credentialsOfMachine(_ attempts: inout Attempts) async throws(CredentialError) -> Credentials {
    if let credentials = try await container(&attempts) { return credentials }
    if let credentials = try await instance(&attempts) { return credentials }
    throw CredentialError(attempts)
  }

  private func container(_ attempts: inout Attempts) async throws(CredentialError) -> Credentials? {
    guard let endpoint = ContainerCredentials(environment) else {
      attempts.add("container", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set")
      return nil
    }
    do throws(CredentialError) {
      return try await endpoint.retrieve()
    } catch {
      throw CredentialError(attempts + error.attempts)
    }
  }

  private func instance(_ attempts: inout Attempts) async throws(CredentialError) -> Credentials? {
    guard !environment.isTrue("AWS_EC2_METADATA_DISABLED") else {
      attempts.add("instance metadata", "AWS_EC2_METADATA_DISABLED is true")
      return nil
    }
    do throws(CredentialError) {
      return try await InstanceMetadata(environment).credentials()
    } catch {
      throw CredentialError(attempts + error.attempts)
    }
  }

  // MARK: Region

  /// The region that the configuration, the environment, the profile or the instance says; nil when none does.
  func region() async -> String? {
    if let region = Region.configured(options, environment) { return region }
    if !options.fallbackRegion.isEmpty { return options.fallbackRegion }
    guard !environment.isTrue("AWS_EC2_METADATA_DISABLED") else { return nil }
    return try? await InstanceMetadata(environment).region()
  }

  private func sts() async throws(CredentialError) -> STS {
    guard let region = await region() else {
      throw CredentialError("STS", "no region: set region, or AWS_REGION in the environment")
    }
    return STS(region: region, isFIPS: options.usesFIPSForSTS, environment)
  }
}

extension SharedProfiles {
  fileprivate var absence: String {
    paths.isEmpty ? "HOME is not set" : "not in \(paths.joined(separator: " or "))"
  }
}

extension SharedProfiles.Profile {
  fileprivate func staticKeys(_ source: String) -> Credentials? {
    guard let key = self["aws_access_key_id"], let secret = self["aws_secret_access_key"], !key.isEmpty, !secret.isEmpty
    else { return nil }
    return Credentials(
      accessKeyID: key, secretAccessKey: Secret(secret), sessionToken: self["aws_session_token"].map(Secret.init),
      source: source)
  }

  fileprivate var role: STS.Role? {
    self["role_arn"].map { arn in
      STS.Role(
        arn: arn, externalID: self["external_id"], sessionName: self["role_session_name"],
        seconds: self["duration_seconds"].flatMap { Int($0) })
    }
  }
}

extension [CredentialError.Attempt] {
  fileprivate mutating func add(_ source: String, _ reason: String) {
    append(CredentialError.Attempt(source: source, reason: reason))
  }
}
