// A client of D-Bus by libsystemd's sd-bus (sd-bus(3)).

import CSystemd
import Glibc

/// A method call: where it goes and its arguments, all of them texts.
public struct BusCall: Sendable {
  let destination: String
  let path: String
  let interface: String
  let member: String
  let arguments: [String]

  public init(_ destination: String, _ path: String, _ interface: String, _ member: String, _ arguments: [String] = [])
  {
    self.destination = destination
    self.path = path
    self.interface = interface
    self.member = member
    self.arguments = arguments
  }

  private static let properties = "org.freedesktop.DBus.Properties"

  /// Asks for one property; the answer is a variant.
  public static func property(
    _ name: String, of destination: String, _ path: String, _ interface: String
  ) -> BusCall {
    BusCall(destination, path, properties, "Get", [interface, name])
  }

  /// Asks for all properties of an interface; the answer is read by `BusMessage.properties`.
  public static func allProperties(of destination: String, _ path: String, _ interface: String) -> BusCall {
    BusCall(destination, path, properties, "GetAll", [interface])
  }
}

/// A bus, connected to at the first call and kept. It belongs to one thread at a time.
///
/// Calls are sent many at a time, and their answers taken as they come: a hundred calls cost a few waits, not a
/// hundred. What answers too slowly ends with the deadline, and the connection with it; the next calls make a new one.
public final class Bus {
  public enum Address: Sendable {
    /// The system bus: $DBUS_SYSTEM_BUS_ADDRESS, else the usual socket.
    case system
    /// A bus at an address, such as `unix:path=/run/bus`.
    case bus(String)
    /// One process that speaks D-Bus itself, such as systemd at `unix:path=/run/systemd/private`.
    case peer(String)

    var name: String {
      switch self {
      case .system: "the system bus"
      case .bus(let address), .peer(let address): address
      }
    }
  }

  /// Calls under way at once. A bus refuses the 129th (max_replies_per_connection of dbus-daemon(1)).
  static let window = 64

  private let address: Address
  private var connection: OpaquePointer?

  public init(_ address: Address) { self.address = address }

  deinit { disconnect() }

  /// Sends the calls and hands over their answers, each once, in the order in which they come.
  ///
  /// - Parameters:
  ///   - deadline: on the monotonic clock, in nanoseconds.
  ///   - answer: takes the place of the call in `calls`, and what came. What it throws ends the calls.
  /// - Throws: `BusError` when there is no connection, it is lost, or an answer has not come by the deadline.
  public func perform(
    _ calls: [BusCall], deadline: UInt64, _ answer: (Int, Result<BusMessage, BusError>) throws -> Void
  ) throws {
    do {
      let connection = try connected(deadline)
      var underWay: [UInt64: Int] = [:]
      var next = 0
      while next < calls.count || !underWay.isEmpty {
        while next < calls.count, underWay.count < Self.window {
          underWay[try send(calls[next], connection)] = next
          next += 1
        }
        guard let message = try receive(connection, deadline), let cookie = message.replyCookie,
          let index = underWay.removeValue(forKey: cookie)
        else { continue }
        try answer(index, message.refusal.map { .failure($0) } ?? .success(message))
      }
    } catch {
      // Answers that are still to come must not pile up.
      disconnect()
      throw error
    }
  }

  // MARK: The connection

  /// The connection that is there, if the other side has not closed it; else a new one.
  private func connected(_ deadline: UInt64) throws(BusError) -> OpaquePointer {
    if let connection {
      do {
        while try !process(connection, deadline).isIdle {}
        return connection
      } catch { disconnect() }
    }
    var new: OpaquePointer?
    switch address {
    case .system:
      try check(sd_bus_open_system(&new), "connect to")
    case .bus(let text), .peer(let text):
      try check(sd_bus_new(&new), "connect to")
      if case .bus = address { sd_bus_set_bus_client(new, 1) }
      do {
        try check(sd_bus_set_address(new, text), "connect to")
        try check(sd_bus_start(new), "connect to")
      } catch {
        sd_bus_close_unref(new)
        throw error
      }
    }
    guard let new else { throw .connection(KernelError("connect to", address.name, code: ENOTCONN)) }
    connection = new
    return new
  }

  private func disconnect() {
    sd_bus_close_unref(connection)
    connection = nil
  }

  // MARK: Messages

  /// Sends a call, which may stay in sd-bus's queue until the connection takes it; gives its cookie.
  private func send(_ call: BusCall, _ connection: OpaquePointer) throws(BusError) -> UInt64 {
    var message: OpaquePointer?
    defer { sd_bus_message_unref(message) }
    try check(
      sd_bus_message_new_method_call(
        connection, &message, call.destination, call.path, call.interface, call.member), "make a call for")
    for argument in call.arguments {
      let result = argument.withCString { sd_bus_message_append_basic(message, CChar(UInt8(ascii: "s")), $0) }
      try check(result, "make a call for")
    }
    var cookie: UInt64 = 0
    try check(sd_bus_send(connection, message, &cookie), "ask")
    return cookie
  }

  private enum Progress {
    /// Nothing to do until more comes.
    case idle
    /// Something was done that is of no interest here.
    case some
    case message(BusMessage)

    var isIdle: Bool { if case .idle = self { true } else { false } }
  }

  private func process(_ connection: OpaquePointer, _ deadline: UInt64) throws(BusError) -> Progress {
    guard MonotonicClock.now < deadline else { throw .timedOut(bus: address.name) }
    var message: OpaquePointer?
    let result = sd_bus_process(connection, &message)
    try check(result, "ask")
    if let message { return .message(BusMessage(owning: message)) }
    return result > 0 ? .some : .idle
  }

  /// The next message; nil when something else happened.
  private func receive(_ connection: OpaquePointer, _ deadline: UInt64) throws(BusError) -> BusMessage? {
    switch try process(connection, deadline) {
    case .message(let message): return message
    case .some: return nil
    case .idle:
      let now = MonotonicClock.now
      guard now < deadline else { throw .timedOut(bus: address.name) }
      let result = sd_bus_wait(connection, (deadline - now) / 1000 + 1)
      if result != -EINTR { try check(result, "wait for") }
      return nil
    }
  }

  private func check(_ result: CInt, _ operation: String) throws(BusError) {
    guard result < 0 else { return }
    throw .connection(KernelError(operation, address.name, code: 0 &- result))
  }
}
