import Bytes
import HTTPClient
import NIOPosix
import Testing

@testable import AWS

@Suite struct TaskMetadataTests {
  private let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)

  private func ask(_ base: String, _ question: TaskMetadataClient.Question = .task) async -> String {
    do {
      let answer = try await TaskMetadataClient(base, client: client).ask(question, within: .seconds(30))
      return answer["a"]?.text ?? "nothing"
    } catch {
      return "\(error)"
    }
  }

  @Test func asksBothEndpoints() async throws {
    let server = try await FakeServices { request in (200, #"{"a": "\#(request.target)"}"#) }
    #expect(await ask("\(server.url)/v4/x") == "/v4/x/task")
    #expect(await ask("\(server.url)/v4/x/", .statistics) == "/v4/x/task/stats")
    await server.close()
  }

  @Test(arguments: [
    (404, #""unable to get task""#, "status 404"), (500, "", "status 500"), (429, "", "status 429"),
    (200, #"{"a": "#, "not JSON"), (200, "", "not JSON"),
  ])
  func saysWhyThereIsNoAnswer(_ status: Int, _ body: String, _ reason: String) async throws {
    let server = try await FakeServices { _ in (status, body) }
    let text = await ask(server.url)
    #expect(text.contains(reason) && !text.contains("\n"), "\(text.prefix(300))")
    await server.close()
  }

  @Test func longAndDeepAnswersAreRefused() async throws {
    let server = try await FakeServices { request in
      (200, String(repeating: "[", count: request.target == "/task" ? 1000 : 2 << 20))
    }
    #expect(await ask(server.url).contains("too deep"))
    #expect(await ask(server.url, .statistics).contains("body size limit exceeded"))
    await server.close()
  }

  @Test func noServer() async throws {
    let server = try await FakeServices { _ in (200, "") }
    await server.close()
    #expect(await ask(server.url).contains("connection refused"))
    #expect(throws: (any Error).self) { try TaskMetadataClient("169.254.170.2/v4", client: client) }
  }
}
