import TestSupport
import Testing

@testable import HTTPClient

@Suite struct HTTPURLTests {
  @Test(arguments: [
    ("http://localhost", "localhost", 80, "/", "localhost"),
    ("http://LocalHost:9100/metrics", "localhost", 9100, "/metrics", "localhost:9100"),
    ("http://10.0.0.1:80/a?b=c&d#e", "10.0.0.1", 80, "/a?b=c&d", "10.0.0.1"),
    ("http://[::1]:9090/x", "::1", 9090, "/x", "[::1]:9090"),
    ("http://[FE80::1]", "fe80::1", 80, "/", "[fe80::1]"),
    ("HTTP://host?x=1", "host", 80, "/?x=1", "host"),
    ("http://host:/p", "host", 80, "/p", "host"),
    ("http://a_b.svc.cluster.local:1/ü x", "a_b.svc.cluster.local", 1, "/%C3%BC%20x", "a_b.svc.cluster.local:1"),
    ("https://h", "h", 443, "/", "h"), ("https://h:80/x", "h", 80, "/x", "h:80"),
    ("HTTP://h:443", "h", 443, "/", "h:443"),
    ("http://h/%2F?match[]={a=\"b\"}", "h", 80, "/%2F?match[]={a=\"b\"}", "h"),
  ])
  func parts(_ text: String, _ host: String, _ port: Int, _ target: String, _ authority: String) throws {
    let url = try HTTPURL(text)
    #expect(url.host == host)
    #expect(url.port == port)
    #expect(url.target == target)
    #expect(url.authority == authority)
    #expect(try HTTPURL(url.description) == url)
  }

  @Test(arguments: [
    ("ftp://host/", "unsupported protocol scheme \"ftp\""),
    ("", "does not start with"), ("host:9100/metrics", "does not start with"), ("/metrics", "does not start with"),
    ("http:/host", "does not start with"), ("http://", "no host"), ("http:///x", "no host"), ("http://:80/", "no host"),
    ("http://host:0/", "invalid port"), ("http://host:65536/", "invalid port"), ("http://host:+1/", "invalid port"),
    ("http://host:80:80/", "invalid port"), ("http://[::1]x/", "invalid port"), ("http://[::1/", "host name"),
    ("http://[127.0.0.1]/", "host name"), ("http://a b/", "host name"), ("http://a%00b/", "host name"),
    ("http://host/\r\nX: y", "control character"), ("http://host/\u{0}", "control character"),
    ("http://user:%zz@host/", "escape"), ("http://user:secret@ho st/", "host name"),
  ])
  func refused(_ text: String, _ reason: String) {
    let error = #expect(throws: HTTPURLError.self) { try HTTPURL(text) }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    #expect(error?.description.contains("secret") == false)
  }

  @Test func userAndPasswordAreKeptApart() throws {
    let url = try HTTPURL("http://us%40er:p%3Ass:w@host:9/x?y")
    #expect(url.userinfo?.user == "us@er")
    #expect(url.userinfo?.password == "p:ss:w")
    #expect(url.description == "http://xxxxx@host:9/x?y")
    #expect("\(url)" == url.description)
  }

  @Test(arguments: [
    ("http://other/z", "http://other/z"), ("//other:1/z", "http://other:1/z"), ("/z?q", "http://xxxxx@host/z?q"),
    ("z", "http://xxxxx@host/a/z"), ("../z", "http://xxxxx@host/z"), ("../../../z/", "http://xxxxx@host/z/"),
    ("./z/./y/..", "http://xxxxx@host/a/z/"), ("?q=../x", "http://xxxxx@host/a/b?q=../x"),
    ("#f", "http://xxxxx@host/a/b?c=/d"), ("", "http://xxxxx@host/a/b?c=/d"),
  ])
  func locations(_ location: String, _ result: String) throws {
    #expect(try HTTPURL("http://u:p@host/a/b?c=/d").resolving(location).description == result)
  }

  @Test(arguments: ["ftp://host/", "mailto:x", "http://", "/a\nb"])
  func locationsRefused(_ location: String) {
    #expect(throws: HTTPURLError.self) { try HTTPURL("http://host/").resolving(location) }
  }

  /// Whatever comes: no crash, and what is taken can be sent on one line and reads back as itself.
  @Test func mutatedTexts() throws {
    var random = SeededGenerator(17)
    let seeds = ["http://user:pass@host:9100/a/../b?c=d#e", "http://[::1]:80/%20", "//x/../..", "http://10.1.2.3?q"]
    let spice = Array("/:@?#[]%. \r\n\0\u{ff}htp0aü".unicodeScalars)
    let base = try HTTPURL("http://base/x/y")
    for _ in 0..<20_000 {
      var text = Array((seeds.randomElement(using: &random) ?? "").unicodeScalars)
      for _ in 0...Int.random(in: 0..<5, using: &random) {
        let place = Int.random(in: 0...text.count, using: &random)
        if Bool.random(using: &random), place < text.count {
          text.remove(at: place)
        } else {
          text.insert(spice[Int.random(in: 0..<spice.count, using: &random)], at: place)
        }
      }
      let string = String(String.UnicodeScalarView(text))
      for url in [try? HTTPURL(string), try? base.resolving(string)].compactMap({ $0 }) {
        #expect(url.target.utf8.first == UInt8(ascii: "/"))
        #expect((url.target + url.authority).utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f })
        if url.userinfo == nil { #expect(try HTTPURL(url.description) == url) }
      }
    }
  }
}
