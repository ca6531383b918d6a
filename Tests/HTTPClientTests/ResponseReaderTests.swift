import Bytes
import Compression
import NIOCore
import TestSupport
import Testing

@testable import HTTPClient

/// What the reader of answers makes of bytes, in whatever pieces they come.
@Suite struct ResponseReaderTests {
  enum Outcome: Equatable {
    case answer(Int, String, isKeepAlive: Bool)
    case malformed, tooLarge, truncated

    init(_ fault: ResponseFault) {
      switch fault {
      case .malformed: self = .malformed
      case .tooLarge: self = .tooLarge
      case .truncated: self = .truncated
      }
    }
  }

  /// The pieces one after the other, then the end of the connection.
  private static func read(_ pieces: [ArraySlice<UInt8>], isHead: Bool = false, limit: Int = 100) -> Outcome {
    let buffers = SpareBuffers()
    var assembly = ResponseAssembly(isAnswerToHead: isHead, limit: limit)
    do throws(ResponseFault) {
      for piece in pieces where !piece.isEmpty {
        // As on a connection: what was received is not there any more when the next bytes come.
        var received = buffers.takeReceiving()
        received.writeBytes(piece)
        defer { buffers.giveReceiving(received) }
        if let response = try assembly.append(received, buffers) { return Outcome(response, assembly) }
      }
      return Outcome(try assembly.close(buffers), assembly)
    } catch {
      return Outcome(error)
    }
  }

  private static func splits(_ answer: [UInt8]) -> [[ArraySlice<UInt8>]] {
    var splits = [answer.indices.map { answer[$0...$0] }]
    for first in 0...answer.count { splits.append([answer[..<first], answer[first...]]) }
    for first in stride(from: 0, to: answer.count, by: 7) {
      let second = min(first + 5, answer.count)
      splits.append([answer[..<first], answer[first..<second], answer[second...]])
    }
    return splits
  }

  private static let ok = "HTTP/1.1 200 OK\r\n"
  private static let chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"

  static let answers: [(String, Outcome)] = [
    (ok + "Content-Length: 3\r\n\r\nabc", .answer(200, "abc", isKeepAlive: true)),
    (ok + "content-length:\t 003 \r\n\r\nabc", .answer(200, "abc", isKeepAlive: true)),
    (ok + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", .answer(200, "abc", isKeepAlive: true)),
    (ok + "Content-Length: 0\r\n\r\n", .answer(200, "", isKeepAlive: true)),
    (ok + "Content-Length: 1\r\nConnection: x, Close\r\n\r\na", .answer(200, "a", isKeepAlive: false)),
    ("HTTP/1.0 200\r\nContent-Length: 1\r\n\r\na", .answer(200, "a", isKeepAlive: false)),
    ("HTTP/1.0 200 \r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na", .answer(200, "a", isKeepAlive: true)),
    ("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", .answer(204, "", isKeepAlive: true)),
    ("HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", .answer(304, "", isKeepAlive: true)),
    (ok + "\r\nuntil the end", .answer(200, "until the end", isKeepAlive: false)),
    (ok + "X: ä\u{ff}\r\nY:\r\nContent-Length: 0\r\n\r\n", .answer(200, "", isKeepAlive: true)),
    (chunked + "2\r\nab\r\n1;x=\"y\"\r\nc\r\n0\r\nT: u\r\n\r\n", .answer(200, "abc", isKeepAlive: true)),
    (chunked + "00A \t;\r\n0123456789\r\n000\r\n\r\n", .answer(200, "0123456789", isKeepAlive: true)),
    (
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 H\r\nLink: x\r\n\r\n" + ok + "Content-Length: 1\r\n\r\na",
      .answer(200, "a", isKeepAlive: true)
    ),
    // Behind the answer.
    (ok + "Content-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n", .answer(200, "a", isKeepAlive: false)),
    (chunked + "0\r\n\r\n\n", .answer(200, "", isKeepAlive: false)),
    ("HTTP/1.1 204 No\r\n\r\nx", .answer(204, "", isKeepAlive: false)),
    // The end too early.
    ("", .truncated), ("HTT", .truncated), (ok, .truncated), (ok + "Content-Length: 3\r\n", .truncated),
    (ok + "Content-Length: 3\r\n\r\nab", .truncated), (chunked + "3\r\nab", .truncated),
    (chunked + "2\r\nab\r\n", .truncated), (chunked + "0\r\n", .truncated), (chunked + "0\r\nX: y\r\n", .truncated),
    ("HTTP/1.1 100 Continue\r\n\r\n", .truncated),
    // Status lines.
    ("220 mail.example.org ESMTP\r\n", .malformed), ("\u{16}\u{3}\u{1}", .malformed), ("\r\n" + ok, .malformed),
    ("HTTP/2.0 200 OK\r\n\r\n", .malformed), ("http/1.1 200 OK\r\n\r\n", .malformed),
    ("HTTP/1.1  200 OK\r\n\r\n", .malformed), ("HTTP/1.1 20 OK\r\n\r\n", .malformed),
    ("HTTP/1.1 2000\r\n\r\n", .malformed), ("HTTP/1.1 099 OK\r\n\r\n", .malformed),
    ("HTTP/1.1 -20 OK\r\n\r\n", .malformed), ("HTTP/1.1 200 \0\r\n\r\n", .malformed),
    ("HTTP/1.1 101 Switching Protocols\r\n\r\n", .malformed),
    (String(repeating: "HTTP/1.1 102 P\r\n\r\n", count: 6) + ok, .malformed),
    // Lines and fields.
    ("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", .malformed), (ok + "Content-Length: 0\n\r\n", .malformed),
    (ok + "Content-Length: 0\r\n\n", .malformed), (ok + "X: a\rb\r\n\r\n", .malformed),
    (ok + "X: a\r\n folded\r\n\r\n", .malformed), (ok + "no colon\r\n\r\n", .malformed),
    (ok + "nocolon\r\n\r\n", .malformed), (ok + ": x\r\n\r\n", .malformed), (ok + "X : y\r\n\r\n", .malformed),
    (ok + " X: y\r\n\r\n", .malformed), (ok + "X: \u{7f}\r\n\r\n", .malformed), (ok + "X: a\0b\r\n\r\n", .malformed),
    (ok + "Ü: x\r\n\r\n", .malformed),
    // Lengths.
    (ok + "Content-Length: -1\r\n\r\n", .malformed), (ok + "Content-Length: +1\r\n\r\na", .malformed),
    (ok + "Content-Length: \r\n\r\n", .malformed), (ok + "Content-Length: 1, 1\r\n\r\na", .malformed),
    (ok + "Content-Length: 0x1\r\n\r\na", .malformed), (ok + "Content-Length: 1 1\r\n\r\na", .malformed),
    (ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", .malformed),
    (ok + "Content-Length: 18446744073709551617\r\n\r\na", .malformed),
    (ok + "Content-Length: 9223372036854775799\r\n\r\na", .tooLarge),
    (ok + "Content-Length: 101\r\n\r\na", .tooLarge),
    (chunked + "65\r\n" + String(repeating: "x", count: 101), .tooLarge),
    (ok + "\r\n" + String(repeating: "x", count: 101), .tooLarge),
    // Transfer codings.
    (ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", .malformed),
    (ok + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n", .malformed),
    (ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", .malformed),
    (ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .malformed),
    (ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", .malformed),
    (ok + "Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n", .malformed),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .malformed),
    (chunked + "\r\n", .malformed), (chunked + "xyz\r\n", .malformed), (chunked + "-1\r\n", .malformed),
    (chunked + "0x1\r\na\r\n0\r\n\r\n", .malformed), (chunked + " 1\r\na\r\n0\r\n\r\n", .malformed),
    (chunked + "1 \r\na\r\n0\r\n\r\n", .malformed), (chunked + "1\na\r\n0\r\n\r\n", .malformed),
    (chunked + "1;\u{1}\r\na\r\n0\r\n\r\n", .malformed), (chunked + "10000000000000000\r\n", .malformed),
    (chunked + "ffffffffffffffff\r\n", .malformed), (chunked + "1\r\nab\r\n0\r\n\r\n", .malformed),
    (chunked + "1\r\na\n0\r\n\r\n", .malformed), (chunked + "0\r\nno colon\r\n\r\n", .malformed),
  ]

  @Test(arguments: answers)
  func splitAtEveryByte(_ text: String, _ outcome: Outcome) {
    let answer = Array(text.utf8)
    for pieces in Self.splits(answer) {
      let result = Self.read(pieces)
      // Bytes behind an answer that come later are found when they come.
      if case .answer(let status, let body, false) = outcome, result == .answer(status, body, isKeepAlive: true) {
        #expect(pieces.count > 1 && Self.read([answer[...]]) == outcome)
        continue
      }
      #expect(result == outcome, "\(text.debugDescription) in pieces of \(pieces.map(\.count))")
    }
  }

  @Test func answersToHead() {
    let answer = Array((Self.ok + "Content-Length: 99999\r\nContent-Encoding: gzip\r\n\r\n").utf8)
    for pieces in Self.splits(answer) {
      #expect(Self.read(pieces, isHead: true) == .answer(200, "", isKeepAlive: true))
    }
  }

  @Test(arguments: ["", "Transfer-Encoding: chunked\r\n"])
  func gzip(_ framing: String) {
    var content = ByteWriter()
    GzipCompressor().compress(Array("up 1\n".utf8).span.bytes, into: &content)
    let body = content.bytes.array
    let head = Array((Self.ok + "Content-Encoding: gzip\r\n" + framing).utf8)
    let answer =
      framing.isEmpty
      ? head + Array("Content-Length: \(body.count)\r\n\r\n".utf8) + body
      : head + Array("\r\n\(String(body.count, radix: 16))\r\n".utf8) + body + Array("\r\n0\r\n\r\n".utf8)
    for pieces in Self.splits(answer) {
      #expect(Self.read(pieces, limit: 5) == .answer(200, "up 1\n", isKeepAlive: true))
      #expect(Self.read(pieces, limit: 4) == .tooLarge)
    }
  }

  @Test(arguments: [
    ok + "X: " + String(repeating: "x", count: 70_000) + "\r\n\r\n",
    ok + String(repeating: "X: y\r\n", count: 257) + "\r\n",
    ok + String(repeating: "X: " + String(repeating: "y", count: 1000) + "\r\n", count: 70) + "\r\n",
    "HTTP/1.1 200 " + String(repeating: "x", count: 70_000),
    chunked + "1;" + String(repeating: "x", count: 5000) + "\r\n",
    chunked + String(repeating: "1;" + String(repeating: "x", count: 1000) + "\r\na\r\n", count: 20),
    chunked + "0\r\n" + String(repeating: "X: y\r\n", count: 20_000) + "\r\n",
  ])
  func tooMuchOfIt(_ text: String) {
    let answer = Array(text.utf8)
    for size in [1, 1000, answer.count] {
      let pieces = stride(from: 0, to: answer.count, by: size).map { answer[$0..<min($0 + size, answer.count)] }
      #expect(Self.read(pieces) == .malformed)
    }
  }

  /// Whatever comes, and in whatever pieces: no crash, and the same result.
  @Test func mutatedAnswers() {
    var random = SeededGenerator(5)
    for _ in 0..<fuzzRounds * 10 {
      guard let text = Self.answers.randomElement(using: &random)?.0 else { return }
      let answer = mutated(Array(text.utf8), with: &random)
      let whole = Self.read([answer[...]])
      let bytewise = Self.read(answer.indices.map { answer[$0...$0] })
      if case .answer(let status, let body, _) = whole, case .answer(status, body, _) = bytewise { continue }
      #expect(whole == bytewise, "\(String(decoding: answer, as: UTF8.self).debugDescription)")
    }
  }

  @Test func headersAreLookedUpInAnyCase() throws {
    let buffers = SpareBuffers()
    var assembly = ResponseAssembly(isAnswerToHead: false, limit: 10)
    let text = Self.ok + "X-A-1:  b c \r\nx-a-1: d\r\nX_A-1: e\r\nContent-Length: 0\r\n\r\n"
    var response = try #require(try assembly.append(ByteBuffer(string: text), buffers))
    #expect(response.header("x-a-1") == "b c")
    #expect(response.header("X-a-2") == nil)
    #expect(response.headers.map(\.name) == ["X-A-1", "x-a-1", "X_A-1", "Content-Length"])
    #expect(response.headers.map(\.value) == ["b c", "d", "e", "0"])
    response.headers = [("Y", "z")]
    #expect(response.header("y") == "z")
    #expect(response.header("X-A-1") == nil)
  }

  /// A body that is still held is not written over; memory that nobody holds is used again.
  @Test func memoryIsUsedAgain() {
    let buffers = SpareBuffers()
    var first = buffers.takeReceiving()
    first.writeString("held")
    buffers.giveReceiving(first)
    let second = buffers.takeReceiving()
    #expect(second.readableBytes == 0)
    #expect(String(buffer: first) == "held")
    let place = address(of: second)
    buffers.giveReceiving(consume second)
    #expect(address(of: buffers.takeReceiving()) == place)
  }

  private func address(of buffer: ByteBuffer) -> UInt {
    buffer.withVeryUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
  }
}

extension ResponseReaderTests.Outcome {
  fileprivate init(_ response: HTTPResponse, _ assembly: ResponseAssembly) {
    self = .answer(response.status, String(buffer: response.body), isKeepAlive: assembly.isKeepAlive)
  }
}
