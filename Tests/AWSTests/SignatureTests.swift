import Bytes
import HTTPClient
import NIOCore
import Secrets
import Testing

@testable import AWS

/// The requests of AWS' documentation and of its test suite for signatures.
@Suite struct SignatureTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var method = "GET"
    var target: String
    var headers: [[String]] = []
    var body = ""
    var canonicalRequest: String
    var signature: String
    var testDescription: String { name }
  }

  private static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  private static let base = [["Host", "example.amazonaws.com"], ["X-Amz-Date", "20150830T123600Z"]]

  static let cases = [
    Case(
      name: "get-vanilla", target: "/",
      canonicalRequest: """
        GET
        /

        host:example.amazonaws.com
        x-amz-date:20150830T123600Z

        host;x-amz-date
        \(emptyHash)
        """, signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    Case(
      name: "get-header-key-duplicate", target: "/",
      headers: [["My-Header1", "value2"], ["My-Header1", "value2"], ["My-Header1", "value1"]],
      canonicalRequest: """
        GET
        /

        host:example.amazonaws.com
        my-header1:value2,value2,value1
        x-amz-date:20150830T123600Z

        host;my-header1;x-amz-date
        \(emptyHash)
        """, signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
    Case(
      name: "get-slash-pointless-dot", target: "/./example",
      canonicalRequest: """
        GET
        /example

        host:example.amazonaws.com
        x-amz-date:20150830T123600Z

        host;x-amz-date
        \(emptyHash)
        """, signature: "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
  ]

  @Test(arguments: cases) func documented(_ example: Case) {
    let scope = SigningScope(region: "us-east-1", service: "service")
    let signature = Signature(
      method: example.method, target: example.target,
      headers: (Self.base + example.headers).map { (name: $0[0], value: $0[1]) },
      payloadHash: Array(example.body.utf8).withUnsafeBytes { SHA256.hash($0).hexadecimal },
      accessKeyID: "AKIDEXAMPLE", scope: scope, time: "20150830T123600Z",
      key: Signature.key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", day: "20150830", scope))
    #expect(signature.canonicalRequest == example.canonicalRequest)
    #expect(signature.text == example.signature)
  }

  /// The key of AWS' documentation for 2015-08-30, us-east-1, iam.
  @Test func signingKey() {
    let key = Signature.key(
      "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", day: "20150830",
      SigningScope(region: "us-east-1", service: "iam"))
    #expect(key.hexadecimal == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9")
  }

  @Test(arguments: [
    ("", "/"), ("/", "/"), ("//", "/"), ("/a/../..", "/"), ("/a//b/./c/", "/a/b/c/"), ("/a b", "/a%20b"),
    ("/a%20b", "/a%2520b"), ("/a/b/..", "/a/"),
  ])
  func path(sent: String, signed: String) { #expect(CanonicalURL.path(sent[...]) == signed) }

  @Test(arguments: [
    ("", ""), ("b=2&a=1", "a=1&b=2"), ("a=2&a=1&A=3", "A=3&a=1&a=2"), ("a", "a="), ("a=b%20c%2f", "a=b%20c%2F"),
    ("a=%zz&&", "a=%25zz"), ("%", "%25="), ("match[]=x", "match%5B%5D=x"),
  ])
  func query(sent: String, signed: String) { #expect(CanonicalURL.query(sent[...]) == signed) }

  /// What is signed of a request, and that signing it again replaces what was there.
  @Test func request() throws {
    var request = HTTPRequest(
      method: "POST", url: try HTTPURL("http://127.0.0.1:8480/workspaces/ws-1/api/v1/remote_write"),
      headers: [
        ("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf"), ("User-Agent", "x"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0"), ("Retry-Attempt", "1"),
      ], body: ByteBuffer(string: "body"))
    let credentials = Credentials(
      accessKeyID: "AKID", secretAccessKey: Secret("secret"), sessionToken: Secret("token"), source: "test")
    let scope = SigningScope(region: "us-east-1", service: "aps")
    let keys = SigningKeys()
    request.sign(credentials, scope, at: Timestamp(seconds: 1_768_435_200), keys)
    let first = request.headers.map(\.value)
    request.sign(credentials, scope, at: Timestamp(seconds: 1_768_435_200), keys)
    #expect(request.headers.map(\.value) == first)
    #expect(request.headers.map(\.name).suffix(3) == ["X-Amz-Date", "X-Amz-Security-Token", "Authorization"])
    #expect(first[5] == "20260115T000000Z")
    #expect(
      first[7].contains(
        "SignedHeaders=content-encoding;content-type;host;x-amz-date;x-amz-security-token;"
          + "x-prometheus-remote-write-version,"))
    request.sign(credentials, scope, at: Timestamp(seconds: 1_768_435_200 + 86_400), keys)
    #expect(request.headers.last?.value.contains("/20260116/us-east-1/aps/") == true)
  }

  @Test func secretsAreNotShown() {
    let credentials = Credentials(
      accessKeyID: "AKID", secretAccessKey: Secret("hidden"), sessionToken: Secret("hidden"), source: "test")
    var dumped = ""
    dump(credentials, to: &dumped)
    #expect(!"\(credentials) \(dumped) \(String(reflecting: credentials))".contains("hidden"))
  }
}

@Suite struct TimestampTests {
  @Test(arguments: [
    ("2026-11-21T09:00:00Z", 1_795_251_600), ("2026-11-21T09:00:00.123Z", 1_795_251_600),
    ("2026-11-21T10:30:00+01:30", 1_795_251_600), ("20261121T090000Z", 1_795_251_600),
    ("2026-11-21T09:00:00-00:00", 1_795_251_600),
  ])
  func iso8601(text: String, seconds: Int64) { #expect(Timestamp(iso8601: text)?.seconds == seconds) }

  @Test(arguments: [
    "", "T", "2026-11-21", "2026-13-21T09:00:00Z", "2026-11-21T09:00:00", "2026-11-21T09:00:00+1", "zT",
  ])
  func noTime(text: String) { #expect(Timestamp(iso8601: text) == nil) }

  @Test func httpDate() {
    #expect(Timestamp(httpDate: "Sun, 06 Nov 1994 08:49:37 GMT")?.seconds == 784_111_777)
    for text in ["", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 08:49 GMT", "Sun, xx Nov 1994 08:49:37 GMT"] {
      #expect(Timestamp(httpDate: text) == nil)
    }
  }

  @Test func written() {
    #expect(Timestamp(seconds: 1_795_251_600).basic == "20261121T090000Z")
    #expect(Timestamp(seconds: 1_795_251_600).extended == "2026-11-21T09:00:00Z")
  }
}
