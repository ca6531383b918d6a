import Testing

@testable import AWS

@Suite struct WorkspaceURLTests {
  private static let id = "ws-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
  private static let path = "/workspaces/\(id)/api/v1/remote_write"

  @Test(arguments: [
    ("https://aps-workspaces.us-east-1.amazonaws.com", "us-east-1"),
    ("https://aps-workspaces-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
    ("https://aps-workspaces.eu-west-1.api.aws", "eu-west-1"),
    ("https://aps-workspaces-fips.us-east-2.api.aws", "us-east-2"),
    ("https://aps-workspaces.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("https://aps-workspaces.cn-north-1.api.amazonwebservices.com.cn", "cn-north-1"),
    ("https://vpce-0ab-cd.aps-workspaces.us-west-2.vpce.amazonaws.com", "us-west-2"),
    ("https://APS-WORKSPACES.us-east-1.amazonaws.com:443", "us-east-1"),
    ("http://127.0.0.1:8480", nil), ("https://aps-workspaces.us-east-1.example.com", nil),
    ("https://proxy.example/x", nil), ("https://aps-workspaces", nil),
  ])
  func hosts(base: String, region: String?) throws {
    for end in ["", "/", "/api", "/api/v1", "/api/v1/", "/api/v1/remote_write", "/api/v1/remote_write/"] {
      let url = try WorkspaceURL("\(base)/workspaces/\(Self.id)\(end)", region: "ap-south-1")
      #expect(url.text == base + Self.path)
      #expect(url.region == region)
      #expect(url.isWorkspace)
    }
  }

  @Test(arguments: [
    ("us-east-1", "https://aps-workspaces.us-east-1.amazonaws.com"),
    ("cn-north-1", "https://aps-workspaces.cn-north-1.amazonaws.com.cn"),
  ])
  func id(region: String, base: String) throws {
    let url = try WorkspaceURL(Self.id, region: region)
    #expect(url.text == base + Self.path)
    #expect(url.region == region)
    #expect(throws: WorkspaceURL.Fault.self) { try WorkspaceURL(Self.id, region: nil) }
  }

  @Test(arguments: [
    "http://h/api/v1/write", "", "ws", "http://h/workspaces/", "http://h/workspaces/ws-1/x", "ftp://x",
    "http://h/workspaces/ws-1/api/v1/remote_write/x", "http://h/workspaces/ws-1/v1",
  ])
  func others(text: String) throws {
    let url = try WorkspaceURL(text, region: nil)
    #expect(url.text == text && !url.isWorkspace)
  }

  /// By the host alone: the path is AMP's to judge.
  @Test func theHostIsEnough() throws {
    let url = try WorkspaceURL("https://aps-workspaces.us-east-1.amazonaws.com/x", region: nil)
    #expect(url.isWorkspace)
  }
}
