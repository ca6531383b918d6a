import AWS
import Secrets
import Testing

@testable import Configuration

private func text(_ sigV4: String, url: String = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1")
  -> String
{
  "remote_write:\n- url: \(url)\n  sigv4:\n\(sigV4.split(separator: "\n").map { "    \($0)\n" }.joined())"
}

@Test func signaturesAreRead() throws {
  let keys = """
    region: eu-west-1
    access_key: AKID
    secret_key: secret
    profile: p
    role_arn: arn:aws:iam::1:role/r
    external_id: x
    service_name: s
    use_fips_sts_endpoint: true
    """
  let sigV4 = try #require(try configuration(text(keys, url: "http://h/")).remoteWrites.first?.sigV4)
  var expected = CredentialOptions()
  (expected.region, expected.accessKey, expected.secretKey) = ("eu-west-1", "AKID", Secret("secret"))
  (expected.profile, expected.roleARN, expected.externalID) = ("p", "arn:aws:iam::1:role/r", "x")
  expected.usesFIPSForSTS = true
  #expect(sigV4.credentials == expected)
  #expect(sigV4.serviceName == "s")
}

@Test(arguments: [
  BadText(
    text("access_key: AKID", url: "http://h/"), "4:17", "remote_write[0].sigv4.access_key", "must provide a AWS SigV4"),
  BadText(
    text("secret_key: x", url: "http://h/"), "4:17", "remote_write[0].sigv4.secret_key", "must provide a AWS SigV4"),
  BadText(
    text("external_id: x", url: "http://h/"), "4:18", "remote_write[0].sigv4.external_id", "only be used with role_arn"),
  BadText(text("region: 'a/b'", url: "http://h/"), "4:13", "remote_write[0].sigv4.region", "not a region"),
  BadText(text("reigon: a", url: "http://h/"), "4:5", "remote_write[0].sigv4.reigon", "did you mean region?"),
  BadText(
    text("region: us-east-1", url: "http://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1"), "4:5",
    "remote_write[0].sigv4", "is not that of the URL"),
  BadText(
    "remote_write:\n- url: ws-1\n  sigv4: {region: us-east-1}\n  headers: {x-scope-orgid: a}", "4:12",
    "remote_write[0].headers", "X-Scope-OrgID"),
  BadText("remote_write:\n- url: ws-1", "2:8", "remote_write[0].url", "expected a URL"),
])
func badSignatures(_ bad: BadText) { expectOneFault(bad) }
