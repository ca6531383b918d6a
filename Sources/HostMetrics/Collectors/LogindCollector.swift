// Asks logind over D-Bus for its seats and sessions (org.freedesktop.login1(5)).

import Exposition
import Kernel

final class LogindCollector: Collector {
  static let name = "logind"
  static let isEnabledByDefault = false

  private static let sessions = MetricFamily.gauge(
    "node_logind_sessions", "Number of sessions registered in logind.", ["class", "remote", "seat", "type"])

  /// Each combination is shown, whether or not there are such sessions.
  private static let types = ["other", "unspecified", "tty", "x11", "wayland", "mir", "web"]
  private static let classes = ["other", "user", "greeter", "lock-screen", "background"]

  private struct Session: Hashable {
    let seat: String
    let isRemote: Bool
    let type: String
    let sessionClass: String
  }

  private static let destination = "org.freedesktop.login1"
  private static let manager = "org.freedesktop.login1.Manager"
  private static let managerPath = "/org/freedesktop/login1"
  /// Nanoseconds that all answers together may take.
  static let patience: UInt64 = 5_000_000_000

  private let bus: Bus
  private let patience: UInt64

  convenience init(_ host: Host) { self.init(Bus(.system)) }

  init(_ bus: Bus, patience: UInt64 = patience) {
    self.bus = bus
    self.patience = patience
  }

  func collect(into writer: MetricWriter) throws {
    let deadline = MonotonicClock.now + patience
    // Sessions from afar have the seat "".
    var seats = [""]
    var listed: [(seat: String, path: String)] = []
    let lists = ["ListSeats", "ListSessions"].map { BusCall(Self.destination, Self.managerPath, Self.manager, $0) }
    try bus.perform(lists, deadline: deadline) { index, answer in
      let message = try answer.get()
      if index == 0 {
        try message.structs(of: "so") { () throws(BusError) in
          seats.append(try message.text())
          try message.skip("o")
        }
      } else {
        // Session, user's number, user's name, seat, path.
        try message.structs(of: "susso") { () throws(BusError) in
          try message.skip("sus")
          listed.append((try message.text(), try message.text()))
        }
      }
    }
    var counts: [Session: Int] = [:]
    let questions = listed.map { session in
      BusCall.allProperties(of: Self.destination, session.path, "\(Self.destination).Session")
    }
    try bus.perform(questions, deadline: deadline) { index, answer in
      // A session that has ended meanwhile is not counted.
      guard let session = Self.session(at: listed[index].seat, answer) else { return }
      counts[session, default: 0] += 1
    }
    write(counts, seats, to: writer)
  }

  private static func session(at seat: String, _ answer: Result<BusMessage, BusError>) -> Session? {
    var isRemote: Bool?
    var type: String?
    var sessionClass: String?
    guard let message = try? answer.get() else { return nil }
    try? message.properties { name, value in
      switch name {
      case "Remote": isRemote = value.flag
      case "Type": type = value.text
      case "Class": sessionClass = value.text
      default: break
      }
    }
    guard let isRemote, let type, let sessionClass else { return nil }
    return Session(
      seat: seat, isRemote: isRemote, type: types.contains(type) ? type : "other",
      sessionClass: classes.contains(sessionClass) ? sessionClass : "other")
  }

  private func write(_ counts: [Session: Int], _ seats: [String], to writer: MetricWriter) {
    for isRemote in [true, false] {
      for type in Self.types {
        for sessionClass in Self.classes {
          for seat in seats {
            let session = Session(seat: seat, isRemote: isRemote, type: type, sessionClass: sessionClass)
            writer.begin(Self.sessions)
            writer.label(sessionClass)
            writer.label(isRemote ? "true" : "false")
            writer.label(seat)
            writer.label(type)
            writer.end(Double(counts[session] ?? 0))
          }
        }
      }
    }
  }
}
