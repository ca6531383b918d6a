import NIOCore

/// The deadlines of the calls under way on one event loop, with one timer for all of them: it is set for the earliest,
/// and left as it is when that call ends before.
///
/// `@unchecked Sendable`: used on the event loop only.
final class Deadlines: @unchecked Sendable, NIOScheduledCallbackHandler {
  private let eventLoop: any EventLoop
  private var calls: [HTTPCall] = []
  private var timer: NIOScheduledCallback?
  /// When the timer fires.
  private var due = NIODeadline.distantFuture

  init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  /// False when the event loop has ended.
  func add(_ call: HTTPCall) -> Bool {
    call.place = calls.count
    calls.append(call)
    return call.deadline >= due || setTimer(call.deadline)
  }

  func remove(_ call: HTTPCall) {
    guard call.place < calls.count, calls[call.place] === call else { return }
    let last = calls.removeLast()
    guard last !== call else { return }
    calls[call.place] = last
    last.place = call.place
  }

  func handleScheduledCallback(eventLoop: some EventLoop) {
    due = .distantFuture
    let now = NIODeadline.now()
    for call in calls.filter({ $0.deadline <= now }) { call.timeOut() }
    // What the callers did meanwhile may have set it again.
    guard let next = calls.lazy.map(\.deadline).min(), next < due else { return }
    _ = setTimer(next)
  }

  private func setTimer(_ deadline: NIODeadline) -> Bool {
    timer?.cancel()
    guard let timer = try? eventLoop.scheduleCallback(at: deadline, handler: self) else { return false }
    self.timer = timer
    due = deadline
    return true
  }
}
