import Glibc
import Synchronization
import TestBus
import Testing

@testable import Kernel

private let soon: UInt64 = 100_000_000
private let late: UInt64 = 20_000_000_000

private func call(_ member: String, _ arguments: [String] = []) -> BusCall {
  BusCall("org.example.Stub", "/stub", "org.example.Stub", member, arguments)
}

/// The answers to calls, in the calls' order; each must come once.
private func ask(_ bus: Bus, _ calls: [BusCall], patience: UInt64 = late) throws -> [Result<BusMessage, BusError>] {
  var answers: [Result<BusMessage, BusError>?] = Array(repeating: nil, count: calls.count)
  try bus.perform(calls, deadline: MonotonicClock.now + patience) { index, answer in
    #expect(answers[index] == nil)
    answers[index] = answer
  }
  return answers.compactMap { $0 }
}

/// A UNIX socket that does something with whoever connects.
private final class RawListener {
  let path: String
  private let descriptor: Int32

  init(_ serve: @escaping @Sendable (Int32) -> Void) throws {
    let path = "/tmp/pilotfish-raw-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    self.path = path
    let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    self.descriptor = descriptor
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    withUnsafeBytes(of: &address) { bytes in
      _ = bind(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
    listen(descriptor, 8)
    try KernelThread.start("raw") {
      while true {
        let connection = accept(descriptor, nil, nil)
        guard connection >= 0 else { return }
        serve(connection)
      }
    }
  }

  deinit {
    shutdown(descriptor, CInt(SHUT_RDWR))
    unlink(path)
  }
}

@Suite struct BusTests {
  @Test func manyCallsAreAnsweredEachOnce() throws {
    let daemon = try TestBus()
    let stub = try StubService("org.example.Stub", at: daemon.address) { .values([.string($0.arguments[0])]) }
    let bus = Bus(.bus(daemon.address))
    for _ in 0..<2 {
      let answers = try ask(bus, (0..<500).map { call("Echo", ["\($0)"]) })
      #expect(try answers.map { try $0.get().text() } == (0..<500).map { "\($0)" })
    }
    #expect(stub.calls.count == 1000)
    #expect(try ask(bus, []).isEmpty)
  }

  @Test func anErrorIsOneCallsOwn() throws {
    let daemon = try TestBus()
    let stub = try StubService("org.example.Stub", at: daemon.address) { call in
      call.member == "Fail" ? .error("org.example.Broken") : .values([.uint32(7)])
    }
    let bus = Bus(.bus(daemon.address))
    let answers = try ask(
      bus, [call("Fail"), call("Work"), BusCall("org.example.Nobody", "/", "org.example.Nobody", "Work")])
    let broken = BusError.refused(name: "org.example.Broken", text: "as the test wants it")
    #expect(throws: broken) { try answers[0].get() }
    #expect(throws: BusError.unexpected(signature: "u")) { try answers[1].get().text() }
    #expect {
      _ = try answers[2].get()
    } throws: {
      "\($0)".hasPrefix("org.freedesktop.DBus.Error.ServiceUnknown: ")
    }
    withExtendedLifetime(stub) {}
  }

  @Test(
    arguments: [
      (.string("x"), .text("x")), (.path("/a"), .text("/a")), (.byte(255), .number(255)), (.uint16(2), .number(2)),
      (.uint32(3), .number(3)), (.uint64(.max), .number(.max)), (.bool(true), .flag(true)),
      (.bool(false), .flag(false)),
      (.int32(-1), .other), (.double(1.5), .other), (.structure([.string("x"), .uint32(1)]), .other),
      (.array("s", [.string("x")]), .other), (.array("s", []), .other), (.variant(.string("x")), .other),
      (.properties([("a", .string("x"))]), .other),
    ] as [(StubValue, BusValue)])
  func variantsAreReadByType(sent: StubValue, read: BusValue) throws {
    let daemon = try TestBus()
    let stub = try StubService("org.example.Stub", at: daemon.address) { call in
      switch call.member {
      case "Get": .values([.variant(sent)])
      case "GetAll": .values([.properties([("before", .uint32(1)), ("it", sent), ("behind", .string("end"))])])
      default: .values([sent])
      }
    }
    let answers = try ask(
      Bus(.bus(daemon.address)),
      [
        .property("it", of: "org.example.Stub", "/", "org.example.Stub"),
        .allProperties(of: "org.example.Stub", "/", "org.example.Stub"), call("Bare"), call("Bare"), call("Bare"),
      ])
    #expect(try answers[0].get().variant() == read)
    var values: [String: BusValue] = [:]
    try answers[1].get().properties { values[$0] = $1 }
    #expect(values == ["before": .number(1), "it": read, "behind": .text("end")])
    // What is not of the type that was to come is an error.
    if case .variant = sent {} else { #expect(throws: BusError.self) { try answers[2].get().variant() } }
    #expect(throws: BusError.self) { try answers[3].get().structs(of: "so") {} }
    #expect(throws: BusError.self) { try answers[4].get().structs(of: "(") {} }
    withExtendedLifetime(stub) {}
  }

  @Test func structsAreReadToTheirEnd() throws {
    let daemon = try TestBus()
    let stub = try StubService("org.example.Stub", at: daemon.address) { call in
      .values([
        .array(
          "(so)", (0..<(call.member == "Three" ? 3 : 0)).map { .structure([.string("n\($0)"), .path("/p\($0)")]) })
      ])
    }
    let bus = Bus(.bus(daemon.address))
    let answers = try ask(bus, [call("Three"), call("Zero"), call("Three"), call("Three")])
    var names: [String] = []
    for answer in answers.prefix(2) {
      let message = try answer.get()
      try message.structs(of: "so") { () throws(BusError) in names.append(try message.text() + (try message.text())) }
    }
    #expect(names == ["n0/p0", "n1/p1", "n2/p2"])
    // A reader that takes too little or too much.
    let (short, long) = (try answers[2].get(), try answers[3].get())
    #expect(throws: BusError.self) { try short.structs(of: "so") { () throws(BusError) in try short.skip("s") } }
    #expect(throws: BusError.self) { try long.structs(of: "so") { () throws(BusError) in try long.skip("soo") } }
    withExtendedLifetime(stub) {}
  }

  @Test func whatHangsEndsAtTheDeadline() throws {
    let daemon = try TestBus()
    let stub = try StubService("org.example.Stub", at: daemon.address) { call in
      call.member == "Hang" ? .none : .values([.string("here")])
    }
    let bus = Bus(.bus(daemon.address))
    #expect(throws: BusError.timedOut(bus: daemon.address)) {
      try ask(bus, [call("Work"), call("Hang")], patience: soon)
    }
    // The next calls do not suffer.
    #expect(try ask(bus, [call("Work")])[0].get().text() == "here")
    withExtendedLifetime(stub) {}
  }

  @Test func aLostConnectionIsMadeAnew() throws {
    let daemon = try TestBus()
    let bus = Bus(.bus(daemon.address))
    var stub = try StubService("org.example.Stub", at: daemon.address) { _ in .values([.string("one")]) }
    #expect(try ask(bus, [call("Work")])[0].get().text() == "one")
    daemon.stop()
    #expect(throws: BusError.self) { try ask(bus, [call("Work")]) }
    try daemon.start()
    stub = try StubService("org.example.Stub", at: daemon.address) { _ in .values([.string("two")]) }
    #expect(try ask(bus, [call("Work")])[0].get().text() == "two")
    // Also when it was lost between two calls without anybody asking meanwhile.
    daemon.stop()
    try daemon.start()
    stub = try StubService("org.example.Stub", at: daemon.address) { _ in .values([.string("three")]) }
    #expect(try ask(bus, [call("Work")])[0].get().text() == "three")
    withExtendedLifetime(stub) {}
  }

  @Test func withoutABusThereIsAnError() {
    for address in ["unix:path=/nonexistent/bus", "nonsense", "unix:path=", ""] {
      for kind in [Bus.Address.bus(address), .peer(address)] {
        #expect(throws: BusError.self) { try ask(Bus(kind), [call("Work")], patience: soon) }
      }
    }
  }

  @Test(arguments: 0..<4) func aHostilePeerDoesNoHarm(kind: Int) throws {
    let listener = try RawListener { connection in
      switch kind {
      // Says nothing.
      case 0: return
      case 1: close(connection)
      case 2:
        let garbage = [UInt8](repeating: 0xff, count: 65_536)
        _ = send(connection, garbage, garbage.count, CInt(MSG_NOSIGNAL))
      default:
        // Agrees to everything, then talks nonsense.
        let text = "OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n"
        _ = send(connection, text, text.utf8.count, CInt(MSG_NOSIGNAL))
        let header: [UInt8] = [108, 2, 0, 1, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]
        for _ in 0..<64 { _ = send(connection, header, header.count, CInt(MSG_NOSIGNAL)) }
      }
    }
    for address in [Bus.Address.peer("unix:path=\(listener.path)"), .bus("unix:path=\(listener.path)")] {
      #expect(throws: BusError.self) { try ask(Bus(address), [call("Work")], patience: soon) }
    }
  }
}
