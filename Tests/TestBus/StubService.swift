// A service on a bus that answers as a test says.

import CSystemd
import Glibc
import Kernel

/// A value to answer with.
public indirect enum StubValue: Sendable {
  case string(String)
  case path(String)
  case byte(UInt8)
  case uint16(UInt16)
  case uint32(UInt32)
  case uint64(UInt64)
  case int32(Int32)
  case bool(Bool)
  case double(Double)
  case structure([StubValue])
  /// Elements of the type given.
  case array(String, [StubValue])
  case variant(StubValue)
  case properties([(String, StubValue)])

  var signature: String {
    switch self {
    case .string: "s"
    case .path: "o"
    case .byte: "y"
    case .uint16: "q"
    case .uint32: "u"
    case .uint64: "t"
    case .int32: "i"
    case .bool: "b"
    case .double: "d"
    case .structure(let fields): "(\(fields.map(\.signature).joined()))"
    case .array(let type, _): "a\(type)"
    case .variant: "v"
    case .properties: "a{sv}"
    }
  }

  func append(to message: OpaquePointer?) {
    func basic<Value>(_ value: Value) {
      withUnsafePointer(to: value) { _ = sd_bus_message_append_basic(message, CChar(signature.utf8.first!), $0) }
    }
    func container(_ type: Character, _ contents: String, _ fill: () -> Void) {
      sd_bus_message_open_container(message, CChar(type.asciiValue!), contents)
      fill()
      sd_bus_message_close_container(message)
    }
    switch self {
    case .string(let text), .path(let text):
      text.withCString { _ = sd_bus_message_append_basic(message, CChar(signature.utf8.first!), $0) }
    case .byte(let value): basic(value)
    case .uint16(let value): basic(value)
    case .uint32(let value): basic(value)
    case .uint64(let value): basic(value)
    case .int32(let value): basic(value)
    case .bool(let value): basic(CInt(value ? 1 : 0))
    case .double(let value): basic(value)
    case .structure(let fields):
      container("r", fields.map(\.signature).joined()) { for field in fields { field.append(to: message) } }
    case .array(let type, let elements):
      container("a", type) { for element in elements { element.append(to: message) } }
    case .variant(let value):
      container("v", value.signature) { value.append(to: message) }
    case .properties(let entries):
      container("a", "{sv}") {
        for (name, value) in entries {
          container("e", "sv") {
            StubValue.string(name).append(to: message)
            StubValue.variant(value).append(to: message)
          }
        }
      }
    }
  }
}

/// A call that came.
public struct StubCall: Sendable {
  public let path: String
  public let interface: String
  public let member: String
  /// The texts at the front of the arguments.
  public let arguments: [String]
}

public enum StubAnswer: Sendable {
  case values([StubValue])
  /// An error of this name.
  case error(String)
  case none
}

/// Answers calls in a thread of its own until it is released.
public final class StubService: Sendable {
  private struct State {
    var isReady = false
    var isStopping = false
    var isStopped = false
    var calls: [StubCall] = []
  }

  private let state = Monitor(State())
  private let answer: @Sendable (StubCall) -> StubAnswer

  /// The calls that came so far.
  public var calls: [StubCall] { state.withLock { $0.calls } }

  /// Returns once the service has its name on the bus.
  public init(_ name: String, at address: String, _ answer: @escaping @Sendable (StubCall) -> StubAnswer) throws {
    self.answer = answer
    let (state, answer) = (state, self.answer)
    try KernelThread.start("stub") {
      var bus: OpaquePointer?
      sd_bus_new(&bus)
      sd_bus_set_address(bus, address)
      sd_bus_set_bus_client(bus, 1)
      sd_bus_start(bus)
      sd_bus_request_name(bus, name, 0)
      state.withLock { $0.isReady = true }
      state.signal()
      Self.serve(bus, state, answer)
      sd_bus_close_unref(bus)
      state.withLock { $0.isStopped = true }
      state.signal()
    }
    state.wait { state, _ in state.isReady ? true : nil }
  }

  deinit {
    state.withLock { $0.isStopping = true }
    state.wait { state, _ in state.isStopped ? true : nil }
  }

  private static func serve(
    _ bus: OpaquePointer?, _ state: Monitor<State>, _ answer: (StubCall) -> StubAnswer
  ) {
    while !state.withLock({ $0.isStopping }) {
      var message: OpaquePointer?
      let result = sd_bus_process(bus, &message)
      if result < 0 { return }
      if message != nil {
        reply(to: message, bus, state, answer)
        sd_bus_message_unref(message)
      } else if result == 0 {
        sd_bus_wait(bus, 10_000)
      }
    }
  }

  private static func reply(
    to message: OpaquePointer?, _ bus: OpaquePointer?, _ state: Monitor<State>, _ answer: (StubCall) -> StubAnswer
  ) {
    var type: UInt8 = 0
    sd_bus_message_get_type(message, &type)
    guard Int(type) == Int(SD_BUS_MESSAGE_METHOD_CALL) else { return }
    func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
    var arguments: [String] = []
    var argument: UnsafePointer<CChar>?
    while sd_bus_message_read_basic(message, CChar(UInt8(ascii: "s")), &argument) > 0 {
      arguments.append(text(argument))
    }
    let call = StubCall(
      path: text(sd_bus_message_get_path(message)), interface: text(sd_bus_message_get_interface(message)),
      member: text(sd_bus_message_get_member(message)), arguments: arguments)
    state.withLock { $0.calls.append(call) }
    var reply: OpaquePointer?
    switch answer(call) {
    case .none: return
    case .values(let values):
      sd_bus_message_new_method_return(message, &reply)
      for value in values { value.append(to: reply) }
    case .error(let name):
      var error = sd_bus_error()
      sd_bus_error_set(&error, name, "as the test wants it")
      sd_bus_message_new_method_error(message, &reply, &error)
      sd_bus_error_free(&error)
    }
    sd_bus_send(bus, reply, nil)
    sd_bus_message_unref(reply)
  }
}
