// Feeds the reader of DNS answers damaged ones. What must never happen: a crash, a reader that does not end, or a name
// longer than the DNS has them.
//
//     swift run -c release Fuzz dns --seconds 60

import Discovery
import Kernel

enum DNSFuzz {
  struct Fault: Error { let description: String }

  /// An answer to the question for `a.example`: two aliases that lead to each other by pointers, and a record.
  private static func seed(_ question: DNSQuestion) -> [UInt8] {
    let type = question.type.rawValue
    let data: [UInt8] =
      switch question.type {
      case .a: [192, 0, 2, 1]
      case .aaaa: [UInt8](repeating: 1, count: 16)
      case .ns: [2, 110, 115, 0xc0, 14]
      case .mx: [0, 10, 2, 109, 120, 0xc0, 12]
      case .srv: [0, 1, 0, 2, 0x23, 0x8c, 1, 116, 0xc0, 14]
      }
    func record(_ type: UInt16, _ data: [UInt8]) -> [UInt8] {
      [0xc0, 12, UInt8(type >> 8), UInt8(type & 0xff), 0, 1, 0, 0, 0, 60, 0, UInt8(data.count)] + data
    }
    return [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0, 1, 97, 7, 101, 120, 97, 109, 112, 108, 101, 0]
      + [UInt8(type >> 8), UInt8(type & 0xff), 0, 1] + record(5, [1, 98, 0xc0, 14]) + record(5, [0xc0, 12])
      + record(type, data)
  }

  static func run(_ seconds: Int, _ seed: UInt64) async throws {
    var mutator = Mutator(seed: seed)
    let subjects = DNSRecordType.allCases.compactMap { DNSQuestion("a.example", $0, identifier: 0x1234) }
    let files = subjects.map { WorkingCopy.File(path: "", content: Self.seed($0)) }
    let end = MonotonicClock.now + UInt64(max(seconds, 0)) * 1_000_000_000
    var (rounds, accepted) = (0, 0)
    while MonotonicClock.now < end {
      let place = mutator.next(below: subjects.count)
      let message = mutator.mutate(files[place].content, beside: files)
      rounds += 1
      guard let answer = try? DNSAnswer(message.span.bytes, to: subjects[place]) else { continue }
      accepted += 1
      for record in answer.records where record.nameLength > 4 * 255 {
        throw Fault(description: "a name of \(record.nameLength) bytes")
      }
    }
    print("\(rounds) rounds, \(accepted) accepted, resident \(Fuzz.residentKilobytes()) KiB")
  }
}

extension DNSRecord {
  fileprivate var nameLength: Int {
    switch self {
    case .address(let text), .nameServer(let text), .mailExchange(let text), .service(let text, _): text.utf8.count
    }
  }
}
