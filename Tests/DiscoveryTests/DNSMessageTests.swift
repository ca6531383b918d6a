import Bytes
import TestSupport
import Testing

@testable import Discovery

/// Messages as servers make them.
struct AnswerBuilder {
  var bytes: [UInt8]

  /// - Parameter question: a question's message, of which the header and the question are taken.
  init(_ question: [UInt8], code: UInt8 = 0, isTruncated: Bool = false, answers: Int = 0) {
    let end = 12 + Self.nameLength(question[12...]) + 4
    bytes = Array(question.prefix(end))
    bytes[2] = 0x81 | (isTruncated ? 2 : 0)
    bytes[3] = 0x80 | code
    (bytes[6], bytes[7]) = (UInt8(answers >> 8), UInt8(answers & 0xff))
    (bytes[10], bytes[11]) = (0, 0)
  }

  private static func nameLength(_ bytes: ArraySlice<UInt8>) -> Int {
    var place = bytes.startIndex
    while place < bytes.endIndex, bytes[place] > 0 { place += Int(bytes[place]) + 1 }
    return place - bytes.startIndex + 1
  }

  static func name(_ text: String) -> [UInt8] {
    text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
  }

  /// A record of the name that was asked for.
  mutating func add(_ type: UInt16, _ data: [UInt8]) {
    bytes += [0xc0, 12, UInt8(type >> 8), UInt8(type & 0xff), 0, 1, 0, 0, 0, 60]
    bytes += [UInt8(data.count >> 8), UInt8(data.count & 0xff)] + data
  }
}

private func makeQuestion(_ name: String, _ type: DNSRecordType) throws -> DNSQuestion {
  try #require(DNSQuestion(name, type, identifier: 0x1234))
}

private func answer(_ bytes: [UInt8], _ question: DNSQuestion) throws(DNSMessageFault) -> DNSAnswer? {
  try DNSAnswer(bytes.span.bytes, to: question)
}

@Test func asksAQuestion() throws {
  let question = try makeQuestion("a.example", .srv)
  #expect(
    question.encoded(isExtended: false) == [
      0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0x61, 7, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0, 0, 33, 0, 1,
    ])
  #expect(question.encoded(isExtended: true).suffix(11) == [0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0])
  #expect(question.encoded(isExtended: true)[11] == 1)
}

@Test(arguments: ["a..b", ".", String(repeating: "x", count: 64), String(repeating: "x.", count: 128) + "y", ""])
func refusesNames(_ name: String) { #expect(DNSQuestion(name, .a) == nil || name == "." || name.isEmpty) }

@Test(arguments: [
  (DNSRecordType.a, [192, 0, 2, 1] as [UInt8], DNSRecord.address("192.0.2.1")),
  (.aaaa, [0x20, 1, 0xd, 0xb8] + Array(repeating: 0, count: 11) + [1], .address("2001:db8::1")),
  (.ns, AnswerBuilder.name("ns.example"), .nameServer("ns.example.")),
  (.ns, [0xc0, 12], .nameServer("a.example.")), (.ns, [1, 0x62, 0xc0, 14], .nameServer("b.example.")),
  (.ns, [0], .nameServer(".")), (.ns, [3, 0x2e, 0x20, 7, 0], .nameServer(#"\.\ \007."#)),
  (.mx, [0, 10] + AnswerBuilder.name("mx.example"), .mailExchange("mx.example.")),
  (.srv, [0, 1, 0, 2, 0x23, 0x8c] + AnswerBuilder.name("t.example"), .service(target: "t.example.", port: 9100)),
])
func readsRecords(_ type: DNSRecordType, _ data: [UInt8], _ record: DNSRecord) throws {
  let question = try makeQuestion("a.example", type)
  var builder = AnswerBuilder(question.encoded(isExtended: true), answers: 2)
  builder.add(5, AnswerBuilder.name("alias.example"))
  builder.add(type.rawValue, data)
  let answer = try #require(try answer(builder.bytes, question))
  #expect(answer.code == .success && !answer.isTruncated && answer.records == [record])
}

@Test func readsCodes() throws {
  let question = try makeQuestion("A.Example.", .a)
  let message = question.encoded(isExtended: true)
  #expect(try answer(AnswerBuilder(message, code: 3).bytes, question)?.code == .nameError)
  #expect(try answer(AnswerBuilder(message, code: 2).bytes, question)?.code == .failure(2))
  #expect(try answer(AnswerBuilder(message, isTruncated: true, answers: 9).bytes, question)?.isTruncated == true)
  // Another identifier, name, type; a question; a name in another case.
  for other in [DNSQuestion("a.example", .a, identifier: 1), .init("b.example", .a, identifier: 0x1234)] {
    #expect(try answer(AnswerBuilder(message).bytes, try #require(other)) == nil)
  }
  #expect(try answer(AnswerBuilder(message).bytes, try makeQuestion("a.example", .ns)) == nil)
  #expect(try answer(message, question) == nil)
  #expect(try answer(AnswerBuilder(message).bytes, try makeQuestion("a.EXAMPLE", .a)) != nil)
}

@Test(
  arguments: [
    (.a, [1, 2, 3]), (.aaaa, [1, 2, 3, 4]), (.ns, []), (.ns, [63, 1]), (.ns, [0xc0]), (.ns, [0x80, 0]),
    // To itself, forward, and round in circles.
    (.ns, [0xc0, 39]), (.ns, [0xc0, 0xff]), (.ns, [1, 0x61, 0xc0, 39]), (.srv, [0, 0, 0]), (.mx, [0]),
    (.ns, AnswerBuilder.name(String(repeating: "x.", count: 128))),
    // Longer than it says.
    (.mx, [0, 1, 3]),
  ] as [(DNSRecordType, [UInt8])])
func refusesRecords(_ type: DNSRecordType, _ data: [UInt8]) throws {
  let question = try makeQuestion("a.example", type)
  var builder = AnswerBuilder(question.encoded(isExtended: true), answers: 1)
  builder.add(type.rawValue, data)
  #expect(throws: DNSMessageFault.self) { try answer(builder.bytes, question) }
}

@Test func refusesTruncatedMessages() throws {
  let question = try makeQuestion("a.example", .ns)
  var builder = AnswerBuilder(question.encoded(isExtended: true), answers: 1)
  builder.add(2, AnswerBuilder.name("ns.example"))
  for length in 0..<builder.bytes.count {
    #expect(throws: DNSMessageFault.self) { try answer(Array(builder.bytes.prefix(length)), question) }
  }
}

@Test func survivesDamagedMessages() throws {
  var random = SeededGenerator(5)
  for type in DNSRecordType.allCases {
    let question = try makeQuestion("a.example", type)
    var builder = AnswerBuilder(question.encoded(isExtended: true), answers: 2)
    builder.add(type.rawValue, [0, 1, 0, 2, 0x23, 0x8c] + AnswerBuilder.name("t.example"))
    builder.add(type.rawValue, [0xc0, 12])
    for _ in 0..<fuzzRounds { _ = try? answer(mutated(builder.bytes, with: &random), question) }
  }
}
