import Bytes
import Discovery
import Exposition

/// What one target's series cache knows of the guard. Where there is no guard there is none.
struct SeriesQuota {
  /// Of a series that is not counted.
  static let none = UInt32.max
  /// What was refused is tried again so often at most, milliseconds: that parses the lines anew.
  private static let retryInterval: UInt64 = 60_000

  let warden: SeriesGuard
  private(set) var job: String
  private var load: Int
  /// The guard's number of each record's metric name.
  private var numbers: [UInt32] = []

  /// The one record of all series that are refused; they have lines, so that they are not parsed in each scrape.
  var record: Int32?
  /// Series that the scrape which runs kept out.
  var refused = 0
  /// Those that the guard was told of: of the last good scrape.
  private var settled = 0
  /// Fingerprints of lines that are tried again: they were counted before.
  var retried: Set<SeriesHash> = []
  private var lastRetry = Int64.min
  /// What `SeriesGuard.room` said before what is refused was tried last.
  private var lastRoom: SeriesGuard.Room?
  private var lastFault: SeriesGuard.Full?

  init(_ warden: SeriesGuard, _ target: Target) {
    self.warden = warden
    job = target.jobName
    load = SeriesGuard.load(at: target.interval)
  }

  /// Asks for one more series; nil when there is no room for it.
  mutating func take(_ labels: LabelSet) -> UInt32? {
    switch warden.take(Self.name(of: labels), of: job, load: load) {
    case .success(let number): return number
    case .failure(let full):
      lastFault = full
      return nil
    }
  }

  /// A series that was asked for was none, or has ended.
  func giveBack(_ number: UInt32) {
    if number != Self.none { warden.giveBack(number, load: load) }
  }

  /// The record is that of a series with this number.
  mutating func set(_ number: UInt32, of record: Int) {
    while numbers.count <= record { numbers.append(Self.none) }
    numbers[record] = number
  }

  mutating func giveBack(record: Int) {
    guard record < numbers.count else { return }
    giveBack(numbers[record])
    numbers[record] = Self.none
  }

  /// Counts a line whose series was refused just now.
  func countRefusal(_ labels: LabelSet, _ hash: SeriesHash) {
    guard let lastFault, !retried.contains(hash) else { return }
    warden.countRefusal(of: Self.name(of: labels), in: job, lastFault)
  }

  /// The target has another job or interval.
  mutating func follow(_ target: Target) {
    let newLoad = SeriesGuard.load(at: target.interval)
    guard newLoad != load || !target.jobName.utf8.elementsEqual(job.utf8) else { return }
    if settled != 0 { warden.settle(job, change: -settled, at: nil) }
    settled = 0
    numbers = warden.move(numbers, load: load, to: target.jobName, load: newLoad)
    job = target.jobName
    load = newLoad
  }

  mutating func begin() {
    refused = 0
    if settled == 0 || !retried.isEmpty { lastRoom = warden.room(in: job, load: load) }
  }

  /// A scrape was good to its end; says whether the lines that were refused are to be parsed anew, for there may be room
  /// for them now.
  mutating func finish(at time: Int64) -> Bool {
    settle(at: time)
    retried = []
    guard refused > 0 else { return false }
    let room = warden.room(in: job, load: load)
    let isDue = lastRetry == .min || (time &- lastRetry).magnitude >= Self.retryInterval
    guard !room.isFull, room != lastRoom, isDue else { return false }
    lastRetry = time
    return true
  }

  /// The target has ended.
  mutating func end() {
    refused = 0
    settle(at: nil)
  }

  private mutating func settle(at time: Int64?) {
    if refused == 0, settled == 0 { return }
    warden.settle(job, change: refused - settled, at: time)
    settled = refused
  }

  private static func name(of labels: LabelSet) -> String {
    labels.index(of: "__name__").map { String(utf8: labels.value(at: $0)) } ?? ""
  }
}
