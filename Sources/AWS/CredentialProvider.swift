import Logging
import Synchronization

/// Keeps credentials fresh: takes them from the chain, and again long before they expire. While that fails, those that
/// are still good stay; while there are none, it goes on asking.
public final class CredentialProvider: Sendable {
  private struct State {
    var current: Credentials?
    var region: String?
    /// Why the last refresh failed.
    var fault: CredentialError?
    var refreshes: UInt64 = 0
    var failures: UInt64 = 0
    var lastRefresh: ContinuousClock.Instant?
    var refusals = RefusalPacing()
    /// They wait for the first refresh.
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  /// What a page or metrics may show.
  public struct Status: Sendable {
    /// Nil: there are none.
    public var source: String?
    public var expiration: Timestamp?
    public var fault: CredentialError?
    public var refreshes: UInt64
    public var failures: UInt64
  }

  private static let retries = Duration.seconds(1)...Duration.seconds(15)

  private let chain: CredentialChain
  private let log: Logger
  private let clock: AWSClock
  private let alarm = Alarm()
  private let task = Mutex<Task<Void, Never>?>(nil)
  private let state = Mutex(State())

  init(_ chain: CredentialChain) {
    self.chain = chain
    log = chain.environment.log
    clock = chain.environment.clock
    // The loop ends with the provider.
    task.withLock {
      $0 = Task { [weak self, alarm] in
        var failures = 0
        while !Task.isCancelled {
          guard let pause = await self?.refresh(&failures) else { return }
          await alarm.sleep(pause)
        }
      }
    }
  }

  deinit {
    task.withLock { $0?.cancel() }
    alarm.ring()
  }

  // MARK: For those who sign

  /// The credentials there are now; never waits.
  ///
  /// - Throws: when there are none, or they have expired: every source, and why it has none.
  public func current() throws(CredentialError) -> Credentials {
    let (current, fault) = state.withLock { ($0.current, $0.fault) }
    guard let current else { throw fault ?? CredentialError([]) }
    if let expiration = current.expiration, expiration <= clock.now {
      throw CredentialError(
        [.init(source: current.source, reason: "expired at \(expiration.extended)")] + (fault?.attempts ?? []))
    }
    return current
  }

  /// The same, but at the start it waits until the chain was asked once.
  public func credentials() async throws(CredentialError) -> Credentials {
    await firstRefresh()
    return try current()
  }

  /// The region that the configuration, the environment or the instance says; nil when none does, or none did so far.
  public var region: String? { state.withLock { $0.region } }

  func firstRefresh() async {
    await withCheckedContinuation { waiter in
      let isDone = state.withLock { state in
        if state.lastRefresh == nil { state.waiters.append(waiter) }
        return state.lastRefresh != nil
      }
      if isDone { waiter.resume() }
    }
  }

  /// AWS has refused these credentials: they are asked for anew, the less often the longer that does not help.
  func refused() {
    let mayAsk = state.withLock { state in
      guard let last = state.lastRefresh else { return false }
      return state.refusals.mayAsk(at: .now, lastRefresh: last)
    }
    if mayAsk { alarm.ring() }
  }

  public var status: Status {
    state.withLock { state in
      Status(
        source: state.current?.source, expiration: state.current?.expiration, fault: state.fault,
        refreshes: state.refreshes, failures: state.failures)
    }
  }

  // MARK: Refreshing

  /// Asks the chain.
  ///
  /// - Parameter failures: in a row.
  /// - Returns: how long to wait before the next time.
  private func refresh(_ failures: inout Int) async -> Duration {
    let result: Result<Credentials, CredentialError>
    do throws(CredentialError) {
      result = .success(try await chain.retrieve())
    } catch {
      result = .failure(error)
    }
    let knownRegion = region
    let region = if let knownRegion { knownRegion } else { await chain.region() }
    let (old, fault, waiters) = state.withLock { state in
      let old = (state.current, state.fault)
      state.region = region
      state.lastRefresh = .now
      state.refreshes += 1
      switch result {
      case .success(let credentials): (state.current, state.fault) = (credentials, nil)
      case .failure(let fault):
        state.fault = fault
        state.failures += 1
      }
      defer { state.waiters = [] }
      return (old.0, old.1, state.waiters)
    }
    for waiter in waiters { waiter.resume() }
    tell(result, old, fault)
    switch result {
    case .success(let credentials) where credentials.expiration.map({ $0.seconds > clock.now.seconds }) ?? true:
      failures = 0
      return pause(until: credentials.expiration)
    default:
      // What has expired already is no better than nothing.
      failures += 1
      let pause = min(Self.retries.lowerBound * (1 << min(failures - 1, 5)), Self.retries.upperBound)
      return pause * Double.random(in: 0.8..<1)
    }
  }

  /// Half of the time that is left, or a little less: so there is time for many attempts, and not all hosts ask at
  /// once. When the same credentials come again, the half is that of the rest.
  private func pause(until expiration: Timestamp?) -> Duration {
    guard let expiration else { return .seconds(86_400) }
    let left = max(0, min(expiration.seconds - clock.now.seconds, 86_400))
    return max(.seconds(Double(left) * Double.random(in: 0.4..<0.5)), .seconds(1))
  }

  private func tell(_ result: Result<Credentials, CredentialError>, _ old: Credentials?, _ oldFault: CredentialError?) {
    switch result {
    case .success(let credentials):
      guard oldFault != nil || old?.source != credentials.source else { return }
      log.info(
        "AWS credentials are here",
        metadata: [
          "source": "\(credentials.source)", "access_key_id": "\(credentials.accessKeyID)",
          "expires": "\(credentials.expiration?.extended ?? "never")",
        ])
    case .failure(let fault):
      guard oldFault != fault else { return }
      if let old {
        log.warning(
          "AWS credentials could not be refreshed, the old ones stay",
          metadata: ["expires": "\(old.expiration?.extended ?? "never")", "err": "\(fault)"])
      } else {
        log.warning("Requests to AWS wait for credentials", metadata: ["err": "\(fault)"])
      }
    }
  }
}

/// When credentials that are refused are asked for anew: at once, and then after twice as long each time, from 3 s to
/// 60 s. After two minutes without a refusal it begins anew.
struct RefusalPacing {
  private static let intervals = Duration.seconds(3)...Duration.seconds(60)

  private var interval = intervals.lowerBound
  private var lastRefusal: ContinuousClock.Instant?
  private var lastAsked: ContinuousClock.Instant?

  mutating func mayAsk(at now: ContinuousClock.Instant, lastRefresh: ContinuousClock.Instant) -> Bool {
    if let lastRefusal, now - lastRefusal > Self.intervals.upperBound * 2 { self = RefusalPacing() }
    lastRefusal = now
    let last = max(lastRefresh, lastAsked ?? lastRefresh)
    guard now - last >= interval else { return false }
    if lastAsked != nil { interval = min(interval * 2, Self.intervals.upperBound) }
    lastAsked = now
    return true
  }
}

/// A sleep that can be ended from outside.
private final class Alarm: Sendable {
  private struct State {
    var sleeper: Task<Void, Never>?
    var hasRung = false
  }

  private let state = Mutex(State())

  func sleep(_ pause: Duration) async {
    let sleeper = state.withLock { state -> Task<Void, Never>? in
      defer { state.hasRung = false }
      guard !state.hasRung else { return nil }
      let sleeper = Task { () -> Void in try? await Task.sleep(for: pause) }
      state.sleeper = sleeper
      return sleeper
    }
    await sleeper?.value
    state.withLock { $0.sleeper = nil }
  }

  /// Ends the sleep; without one, the next.
  func ring() {
    state.withLock { state in
      if let sleeper = state.sleeper { sleeper.cancel() } else { state.hasRung = true }
    }
  }
}
