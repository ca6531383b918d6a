// Reads messages of D-Bus (https://dbus.freedesktop.org/doc/dbus-specification.html) by sd_bus_message_read_basic(3)
// and sd_bus_message_enter_container(3).

import CSystemd
import Glibc

/// Why a call on a bus has no usable answer.
public enum BusError: Error, CustomStringConvertible, Equatable {
  /// There is no connection, or it was lost.
  case connection(KernelError)
  /// The other side has not answered in time.
  case timedOut(bus: String)
  /// The other side answered with an error: its name, such as `org.freedesktop.DBus.Error.UnknownObject`, and text.
  case refused(name: String, text: String)
  /// The answer is not of the types that were to come; its signature.
  case unexpected(signature: String)

  public var description: String {
    switch self {
    case .connection(let error): error.description
    case .timedOut(let bus): "ask \(bus): no answer in time"
    case .refused(let name, let text): text.isEmpty ? name : "\(name): \(text)"
    case .unexpected(let signature): "the answer has the unexpected signature \"\(signature)\""
    }
  }
}

/// The value of a property, as far as collectors read them.
public enum BusValue: Equatable, Sendable {
  /// s, o, g
  case text(String)
  /// y, q, u, t
  case number(UInt64)
  /// b
  case flag(Bool)
  /// Of another type.
  case other

  public var text: String? { if case .text(let text) = self { text } else { nil } }
  public var number: UInt64? { if case .number(let number) = self { number } else { nil } }
  public var flag: Bool? { if case .flag(let flag) = self { flag } else { nil } }
}

/// A message that came, read from front to back. Every read checks the type that stands there.
public final class BusMessage {
  private let message: OpaquePointer

  /// Takes the reference over.
  init(owning message: OpaquePointer) { self.message = message }

  deinit { sd_bus_message_unref(message) }

  /// The cookie of the call that this answers; nil when it answers none.
  var replyCookie: UInt64? {
    var cookie: UInt64 = 0
    return sd_bus_message_get_reply_cookie(message, &cookie) >= 0 ? cookie : nil
  }

  /// The error that this message is; nil when it is none.
  var refusal: BusError? {
    guard let error = sd_bus_message_get_error(message)?.pointee else { return nil }
    return .refused(
      name: error.name.map { String(cString: $0) } ?? "", text: error.message.map { String(cString: $0) } ?? "")
  }

  /// Reads a text (s), an object's path (o) or a signature (g).
  public func text() throws(BusError) -> String {
    guard let type = nextType?.type, Self.texts.contains(type) else { throw unexpected }
    var text: UnsafePointer<CChar>?
    try check(sd_bus_message_read_basic(message, type, &text))
    return text.map { String(cString: $0) } ?? ""
  }

  /// Moves past values of the types given.
  public func skip(_ types: String) throws(BusError) { try check(sd_bus_message_skip(message, types)) }

  /// Reads an array of structs: `body` reads the fields of one, which have the types given.
  public func structs(of fields: String, _ body: () throws(BusError) -> Void) throws(BusError) {
    try check(sd_bus_message_enter_container(message, Self.array, "(\(fields))"))
    while try enter(Self.structure, fields) {
      try body()
      try check(sd_bus_message_exit_container(message), allowsZero: true)
    }
    try check(sd_bus_message_exit_container(message), allowsZero: true)
  }

  /// Reads a dictionary of names and variants (a{sv}), as Properties.GetAll answers; `body` takes one entry.
  public func properties(_ body: (String, BusValue) -> Void) throws(BusError) {
    try check(sd_bus_message_enter_container(message, Self.array, "{sv}"))
    while try enter(Self.entry, "sv") {
      let name = try text()
      body(name, try variant())
      try check(sd_bus_message_exit_container(message), allowsZero: true)
    }
    try check(sd_bus_message_exit_container(message), allowsZero: true)
  }

  /// Reads a variant (v), as Properties.Get answers.
  public func variant() throws(BusError) -> BusValue {
    guard let next = nextType, next.type == Self.variant, let contents = next.contents else { throw unexpected }
    try check(sd_bus_message_enter_container(message, Self.variant, contents))
    let value = try basic()
    if value == .other { try check(sd_bus_message_skip(message, contents), allowsZero: true) }
    try check(sd_bus_message_exit_container(message), allowsZero: true)
    return value
  }

  /// Reads a value of a type that `BusValue` has a case for; leaves another where it is.
  private func basic() throws(BusError) -> BusValue {
    guard let type = nextType?.type else { throw unexpected }
    switch UInt8(bitPattern: type) {
    case UInt8(ascii: "s"), UInt8(ascii: "o"), UInt8(ascii: "g"):
      return .text(try text())
    case UInt8(ascii: "y"):
      return .number(UInt64(try fixed(type, UInt8(0))))
    case UInt8(ascii: "q"):
      return .number(UInt64(try fixed(type, UInt16(0))))
    case UInt8(ascii: "u"):
      return .number(UInt64(try fixed(type, UInt32(0))))
    case UInt8(ascii: "t"):
      return .number(try fixed(type, UInt64(0)))
    case UInt8(ascii: "b"):
      return .flag(try fixed(type, CInt(0)) != 0)
    default:
      return .other
    }
  }

  /// Reads a number of fixed size over `value`.
  private func fixed<Number: FixedWidthInteger>(_ type: CChar, _ value: Number) throws(BusError) -> Number {
    var value = value
    try check(sd_bus_message_read_basic(message, type, &value))
    return value
  }

  // MARK: sd-bus

  private static let array = CChar(UInt8(ascii: "a"))
  private static let structure = CChar(UInt8(ascii: "r"))
  private static let entry = CChar(UInt8(ascii: "e"))
  private static let variant = CChar(UInt8(ascii: "v"))
  private static let texts = "sog".utf8.map { CChar($0) }

  /// The type of what comes next, and what a container of it holds; nil at the end.
  private var nextType: (type: CChar, contents: UnsafePointer<CChar>?)? {
    var type: CChar = 0
    var contents: UnsafePointer<CChar>?
    return sd_bus_message_peek_type(message, &type, &contents) > 0 ? (type, contents) : nil
  }

  /// Enters the next element of an array; false at its end.
  private func enter(_ type: CChar, _ contents: String) throws(BusError) -> Bool {
    let result = sd_bus_message_enter_container(message, type, contents)
    try check(result, allowsZero: true)
    return result > 0
  }

  /// - Parameter allowsZero: zero says "at the end", which is wrong where a value must come.
  private func check(_ result: CInt, allowsZero: Bool = false) throws(BusError) {
    guard result > 0 || (allowsZero && result == 0) else { throw unexpected }
  }

  private var unexpected: BusError {
    .unexpected(signature: sd_bus_message_get_signature(message, 1).map { String(cString: $0) } ?? "")
  }
}
