// Changes of what is in folders (inotify(7)).

import Bytes
import Glibc
import Synchronization

/// Tells that something in some folders was written, came or went. All of a process share one inotify instance, of which
/// a user may have few, and one thread.
public final class FolderWatch: Sendable {
  private static let hub = FolderWatchHub()

  private let number: Int

  /// - Parameter onChange: called on the thread of all; it must not take long.
  public init(onChange: @escaping @Sendable () -> Void) { number = Self.hub.add(onChange) }

  deinit { Self.hub.remove(number) }

  /// Makes these the folders.
  ///
  /// - Returns: false when some of them cannot be watched: they are not there, or the system's limits are reached.
  public func watch(_ folders: Set<String>) -> Bool { Self.hub.watch(folders, for: number) }
}

private final class FolderWatchHub: Sendable {
  /// Files that were written to and closed, that came, that went; the folder itself. Not each write: a file is read
  /// when it is whole.
  private static let events = UInt32(
    IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF
      | CInt(bitPattern: UInt32(IN_ONLYDIR)))

  private struct State {
    /// -1 before the first folder, and when the system gives none.
    var descriptor: CInt = -1
    var users: [Int: @Sendable () -> Void] = [:]
    var nextUser = 0
    /// The users of each of the kernel's watches.
    var watches: [CInt: Set<Int>] = [:]
  }

  private let state = Mutex(State())

  func add(_ onChange: @escaping @Sendable () -> Void) -> Int {
    state.withLock { state in
      state.nextUser += 1
      state.users[state.nextUser] = onChange
      return state.nextUser
    }
  }

  func remove(_ user: Int) {
    state.withLock { state in
      state.users[user] = nil
      release(user, keeping: [], &state)
    }
  }

  func watch(_ folders: Set<String>, for user: Int) -> Bool {
    state.withLock { state in
      guard start(&state) else { return false }
      var kept: Set<CInt> = []
      var isWhole = true
      for folder in folders {
        // The same folder gives the same watch again.
        let watch = inotify_add_watch(state.descriptor, folder, Self.events)
        guard watch >= 0 else {
          isWhole = false
          continue
        }
        kept.insert(watch)
        state.watches[watch, default: []].insert(user)
      }
      release(user, keeping: kept, &state)
      return isWhole
    }
  }

  private func release(_ user: Int, keeping kept: Set<CInt>, _ state: inout State) {
    for (watch, users) in state.watches where users.contains(user) && !kept.contains(watch) {
      state.watches[watch]?.remove(user)
      guard state.watches[watch]?.isEmpty == true else { continue }
      state.watches[watch] = nil
      inotify_rm_watch(state.descriptor, watch)
    }
  }

  private func start(_ state: inout State) -> Bool {
    if state.descriptor >= 0 { return true }
    let descriptor = inotify_init1(CInt(IN_CLOEXEC))
    guard descriptor >= 0 else { return false }
    do throws(KernelError) {
      try KernelThread.start("folder-watch") { self.read(descriptor) }
    } catch {
      close(descriptor)
      return false
    }
    state.descriptor = descriptor
    return true
  }

  /// Until the process ends.
  private func read(_ descriptor: CInt) {
    let header = MemoryLayout<inotify_event>.size
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      guard count > 0 else {
        if count < 0, errno == EINTR { continue }
        return
      }
      var watches: Set<CInt> = []
      var hasLostEvents = false
      var place = 0
      while place + header <= count {
        let event = buffer.loadUnaligned(fromByteOffset: place, as: inotify_event.self)
        place += header + Int(event.len)
        hasLostEvents = hasLostEvents || event.mask & UInt32(IN_Q_OVERFLOW) != 0
        watches.insert(event.wd)
        if event.mask & UInt32(IN_IGNORED) != 0 { forget(event.wd) }
      }
      for tell in users(of: watches, all: hasLostEvents) { tell() }
    }
  }

  /// The kernel has ended the watch: its folder is gone. Its users were told so.
  private func forget(_ watch: CInt) {
    state.withLock { state in
      for user in state.watches.removeValue(forKey: watch) ?? [] { state.users[user]?() }
    }
  }

  private func users(of watches: Set<CInt>, all: Bool) -> [@Sendable () -> Void] {
    state.withLock { state in
      if all { return Array(state.users.values) }
      return watches.reduce(into: Set<Int>()) { $0.formUnion(state.watches[$1] ?? []) }.compactMap { state.users[$0] }
    }
  }
}
