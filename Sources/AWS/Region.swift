/// What says which region is meant.
public enum Region {
  /// By the configuration, the environment or the shared files; nil when none says it.
  ///
  /// - Parameter options: its region and its profile count.
  public static func configured(_ options: CredentialOptions, _ environment: AWSEnvironment) -> String? {
    if !options.region.isEmpty { return options.region }
    if let region = environment["AWS_REGION", "AWS_DEFAULT_REGION"] { return region }
    guard let profiles = try? SharedProfiles(environment) else { return nil }
    let name = options.profile.isEmpty ? profiles.selected ?? "default" : options.profile
    return profiles[name]?["region"]
  }

  /// The domain of a region's services.
  static func domain(_ region: String) -> String {
    region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
  }
}
