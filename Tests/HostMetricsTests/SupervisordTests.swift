import Bytes
import Glibc
import Kernel
import TestSupport
import Testing

@testable import HostMetrics

/// One member of a struct.
private func member(_ name: String, _ type: String, _ value: String) -> String {
  "<member>\n<name>\(name)</name>\n<value><\(type)>\(value)</\(type)></value>\n</member>\n"
}

private func process(_ name: String, _ group: String, state: Int, exit: Int = 0, start: Int = 1_700_000_000) -> String {
  "<value><struct>\n" + member("description", "string", "pid 1, &lt;up&gt;") + member("name", "string", name)
    + member("group", "string", group) + member("start", "int", "\(start)") + member("state", "int", "\(state)")
    + member("spawnerr", "string", "") + member("exitstatus", "i4", "\(exit)") + member("pid", "int", "12")
    + "</struct></value>\n"
}

private func body(_ processes: [String]) -> String {
  """
  <?xml version='1.0'?>
  <methodResponse>
  <params>
  <param>
  <value><array><data>
  \(processes.joined())</data></array></value>
  </param>
  </params>
  </methodResponse>

  """
}

private func answer(_ body: String, status: String = "HTTP/1.0 200 OK") -> [UInt8] {
  Array("\(status)\r\nContent-Type: text/xml\r\nServer: Medusa\r\n\r\n\(body)".utf8)
}

private let example = body([
  process("web", "web", state: 20), process("a &amp; b", "jobs", state: 100, exit: 3), process("c", "jobs", state: 10),
])

private let shown = """
  # HELP node_supervisord_exit_status Process Exit Status
  # TYPE node_supervisord_exit_status gauge
  node_supervisord_exit_status{group="jobs",name="a & b"} 3
  node_supervisord_exit_status{group="jobs",name="c"} 0
  node_supervisord_exit_status{group="web",name="web"} 0
  # HELP node_supervisord_start_time_seconds Process start time
  # TYPE node_supervisord_start_time_seconds counter
  node_supervisord_start_time_seconds{group="jobs",name="c"} 1.7e+09
  node_supervisord_start_time_seconds{group="web",name="web"} 1.7e+09
  # HELP node_supervisord_state Process State
  # TYPE node_supervisord_state gauge
  node_supervisord_state{group="jobs",name="a & b"} 100
  node_supervisord_state{group="jobs",name="c"} 10
  node_supervisord_state{group="web",name="web"} 20
  # HELP node_supervisord_up Process Up
  # TYPE node_supervisord_up gauge
  node_supervisord_up{group="jobs",name="a & b"} 0
  node_supervisord_up{group="jobs",name="c"} 1
  node_supervisord_up{group="web",name="web"} 1

  """

private func collector(_ url: String, patience: UInt64 = 20_000_000_000) throws -> SupervisordCollector {
  try SupervisordCollector(
    .fixture(SupervisordCollector.self, "/", ["--collector.supervisord.url=\(url)"]), patience: patience)
}

@Suite struct SupervisordTests {
  @Test func showsProcesses() throws {
    let requests = Monitor<[String]>([])
    let server = try ServerStub.streams { request in
      requests.withLock { $0.append(String(decoding: request, as: UTF8.self)) }
      return answer(example)
    }
    let collector = try collector("http://user:pa:ss@127.0.0.1:\(server.port)/RPC2")
    for _ in 0..<2 { #expect(try render(collector) == shown) }
    #expect(
      requests.withLock { $0.first } == """
        POST /RPC2 HTTP/1.0\r
        Host: 127.0.0.1:\(server.port)\r
        Content-Type: text/xml\r
        Authorization: Basic dXNlcjpwYTpzcw==\r
        Content-Length: 95\r
        \r
        <methodCall><methodName>supervisor.getAllProcessInfo</methodName><params></params></methodCall>
        """)
  }

  @Test func speaksOverAUNIXSocket() throws {
    let folder = TemporaryDirectory()
    let server = try ServerStub.streams(path: "\(folder.path)/supervisor.sock") { _ in answer(example) }
    #expect(try render(try collector("unix://\(folder.path)/supervisor.sock")) == shown)
    withExtendedLifetime(server) {}
  }

  @Test(arguments: [
    answer(example, status: "HTTP/1.1 401 Unauthorized"), answer(""), answer("<html></html>"), [],
    Array("garbage".utf8),
    Array("HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n".utf8), answer(String(example.dropLast(40))),
    answer("<methodResponse><fault><value><struct></struct></value></fault></methodResponse>"),
    answer("<methodResponse><params></methodResponse>"), answer(String(repeating: "<methodResponse>", count: 100)),
    answer("<methodResponse"),
  ])
  func whatIsNoAnswerIsAnError(reply: [UInt8]) throws {
    let server = try ServerStub.streams { _ in reply }
    let collector = try collector("http://127.0.0.1:\(server.port)/RPC2")
    #expect(throws: XMLRPCError.self) { try render(collector) }
  }

  @Test func anAnswerWithoutBoundsIsCut() throws {
    let server = try ServerStub.streams { _ in answer(String(repeating: "x", count: 20 << 20)) }
    let collector = try collector("http://127.0.0.1:\(server.port)/RPC2")
    #expect(throws: KernelError("read from", "127.0.0.1:\(server.port)", code: EMSGSIZE)) { try render(collector) }
  }

  @Test func silenceEndsAtTheDeadline() throws {
    let server = try ServerStub.streams { _ in nil }
    let collector = try collector("http://127.0.0.1:\(server.port)/RPC2", patience: 100_000_000)
    #expect(throws: KernelError("read from", "127.0.0.1:\(server.port)", code: ETIMEDOUT)) { try render(collector) }
  }

  @Test func withoutAServerItFails() throws {
    for url in [
      "unix:///nonexistent/socket", "http://127.0.0.1:1/RPC2", "unix:///\(String(repeating: "x", count: 200))",
    ] {
      let collector = try collector(url)
      #expect(throws: KernelError.self) { try render(collector) }
    }
  }

  @Test(arguments: [
    "https://localhost:9001/RPC2", "localhost:9001", "", "http://", "http://:9001/", "http://h:x/", "http://h:70000/",
    "unix://relative", "http://h/a b", "http://h/\r\nX: y",
  ])
  func badURLsAreRefused(url: String) {
    #expect(throws: CollectorConfigurationError.self) { try collector(url) }
  }

  @Test(arguments: ["http://[::1]:9001/RPC2", "http://localhost", "http://h:1", "unix:///run/supervisor.sock"])
  func goodURLsAreTaken(url: String) throws { _ = try collector(url) }

  @Test func readsValues() throws {
    let members =
      member("a", "string", "&lt;&#65;&#x42;&quot;&apos;&nope;&") + "<member><name>b</name><value>bare</value></member>"
      + member("c", "int", "-5") + member("d", "int", "x") + member("e", "boolean", "1")
      + "<member><name>f</name><value><string/></value></member>"
      + "<member><name>g</name><value><struct>\(member("a", "int", "1"))</struct></value></member>"
      + "<member><name>h</name><value><array><data><value><int>1</int></value></data></array></value></member>"
    let structs = try XMLRPCReader(
      body: Array(body(["<!-- x -->", "<value><struct>\(members)</struct></value>"]).utf8)
    ).structs()
    #expect(structs.count == 1)
    let first = try #require(structs.first)
    #expect(first["a"] == .text("<AB\"'&nope;&") && first["b"] == .text("bare") && first["c"] == .number(-5))
    #expect(first["d"]?.number == nil && first["e"]?.number == nil && first["h"]?.number == nil)
  }

  @Test func survivesAnyXML() {
    var random = SeededGenerator(7)
    let bytes = Array(example.utf8)
    for _ in 0..<500 { _ = try? XMLRPCReader(body: mutated(bytes, with: &random)).structs() }
    for length in stride(from: 0, to: bytes.count, by: 5) {
      _ = try? XMLRPCReader(body: Array(bytes.prefix(length))).structs()
    }
  }
}
