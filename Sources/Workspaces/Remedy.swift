import AWS
import HTTPClient

/// What the user can do about an answer of AMP, or about there being none.
enum Remedy {
  /// The first row whose status and, if it has any, one of whose words are those of the answer.
  private static let answers: [(statuses: ClosedRange<Int>, words: [String], remedy: String)] = [
    (
      403...403, ["Missing Authentication Token"],
      "AMP has no such path, or a proxy removes the header Authorization: check the workspace's URL"
    ),
    (
      401...403, ["scoped to a valid region", "scoped to correct service"],
      "the signature is for another region or service: give the region of the workspace's URL, or none"
    ),
    (
      401...403, ["Signature expired", "not yet current"],
      "the clock is wrong, or the request was kept too long: set the clock (timedatectl, chronyc)"
    ),
    (
      401...403, ["signature we calculated"],
      "the secret key is not that of the access key, or a proxy changes the request on its way"
    ),
    (
      401...403, ["security token"],
      "the credentials have expired, were taken back, or belong to another partition: get new ones"
    ),
    (
      404...404, [],
      "no such workspace in this region and account: check its id and region; for one of another account assume a role "
        + "of that account (role_arn, --role-arn)"
    ),
    (
      400...400, ["series limit"],
      "the workspace has as many active series as its quota allows: write fewer, or have the quota raised"
    ),
    (413...413, [], "the request is larger than AMP takes: push less at a time"),
    (422...422, [], "the query cannot be executed: a shorter range, a longer step or fewer series may help"),
    (429...429, [], "AMP throttles the workspace: try again, or have the quota raised (Service Quotas, aps)"),
    (500...599, [], "the fault is AMP's, and usually passes: try again"),
  ]

  static func of(_ error: CredentialError) -> String {
    "\(error)".contains("AccessDenied")
      ? "the role's trust policy must name who assumes it, and the external_id that it asks for must be given"
      : "give the host a role (of the instance, the task or the pod), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
  }

  static func of(_ response: HTTPResponse, isWrite: Bool) -> String? {
    let message = response.reason
    let known = answers.first { row in
      row.statuses.contains(response.status) && (row.words.isEmpty || row.words.contains(where: message.contains))
    }
    if let known { return known.remedy }
    guard [401, 403].contains(response.status) else { return nil }
    let (action, policy) =
      isWrite
      ? ("aps:RemoteWrite", "AmazonPrometheusRemoteWriteAccess") : ("aps:QueryMetrics", "AmazonPrometheusQueryAccess")
    return "allow the identity \(action) on this workspace (\(policy)), in the policy of the VPC endpoint too"
  }

  /// - Parameter region: of the workspace, if it is known.
  static func of(_ error: HTTPClientError, region: String?) -> String? {
    let endpoint = "com.amazonaws.\(region ?? "REGION").aps-workspaces"
    let reason = error.reason
    if case .timeout = error {
      return "nothing answers: the subnet needs a route (a NAT gateway, a proxy) or a VPC endpoint (\(endpoint)), and "
        + "its security groups must let port 443 through"
    }
    if reason.contains("lookup ") {
      return "check the region in the URL and the name servers; with a VPC endpoint (\(endpoint)) enable private DNS"
    }
    if reason.contains("x509") {
      return
        "install ca-certificates; where a proxy opens TLS, name its authority by tls_config.ca_file; a clock that is "
        + "far off does this, too"
    }
    if reason.contains("connection refused") || reason.contains("unreachable") || reason.contains("no route") {
      return "check host and port, the route, the proxy, and the security groups of the VPC endpoint (\(endpoint))"
    }
    return nil
  }
}
