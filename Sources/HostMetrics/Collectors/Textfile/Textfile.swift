import Bytes
import Glibc
import Kernel

/// One file, read again only when it has changed.
final class Textfile {
  /// What stood in it at one time.
  final class Content {
    let path: String
    /// Whole seconds since the epoch.
    let modified: Double
    let families: [TextFamily]
    /// Lines that were left out, by the reason.
    let faults: [TextFault: Int]

    init(path: String, modified: Double, families: [TextFamily], faults: [TextFault: Int] = [:]) {
      self.path = path
      self.modified = modified
      self.families = families
      self.faults = faults
    }
  }

  struct Failure: Error {
    let fault: TextFault
    let reason: String
    /// Not the same as last time.
    let isNew: Bool
  }

  /// Bytes; a longer file is refused.
  static let limit = 16 << 20

  private let path: String
  /// Whether to take what can be taken of a text with errors.
  private let salvages: Bool
  private var state: Result<Content, Failure>?
  private var inode: UInt = 0
  private var size = 0
  private var seconds = 0
  private var nanoseconds = 0

  init(_ path: String, salvages: Bool) {
    self.path = path
    self.salvages = salvages
  }

  /// The content; or why there is none: not a regular file (a FIFO would never end), too long, or not the format.
  func read(_ buffer: inout ByteWriter) -> Result<Content, Failure> {
    // O_NONBLOCK: opening a FIFO does not wait for its writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return fail(KernelError("open", path).description) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return fail(KernelError("stat", path).description) }
    guard status.st_mode & S_IFMT == S_IFREG else { return fail("\(path): not a regular file") }
    let isUnchanged =
      status.st_ino == inode && status.st_size == size && status.st_mtim.tv_sec == seconds
      && status.st_mtim.tv_nsec == nanoseconds
    if isUnchanged, let state { return state.mapError { Failure(fault: $0.fault, reason: $0.reason, isNew: false) } }
    guard status.st_size <= Self.limit else { return fail("\(path): longer than \(Self.limit) bytes", .tooLong) }
    do {
      try Self.readAll(descriptor, path, &buffer)
    } catch {
      return fail(error.description)
    }
    state = buffer.withBytes { bytes in parse(bytes, modified: Double(status.st_mtim.tv_sec)) }
    inode = UInt(status.st_ino)
    size = Int(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
    return state ?? fail("\(path): not read")
  }

  private func parse(_ text: RawSpan, modified: Double) -> Result<Content, Failure> {
    func failure(_ error: TextFamilyError) -> Failure {
      Failure(fault: error.fault, reason: "\(path): \(error)", isNew: true)
    }
    guard salvages else {
      do {
        return .success(Content(path: path, modified: modified, families: try TextFamilyParser.parse(text)))
      } catch {
        return .failure(failure(error))
      }
    }
    let (families, faults) = TextFamilyParser.salvage(text)
    return .success(Content(path: path, modified: modified, families: families, faults: faults))
  }

  /// A failure that may be gone next time, whatever the file's times say.
  private func fail(_ reason: String, _ fault: TextFault = .unreadable) -> Result<Content, Failure> {
    var isNew = true
    if case .failure(let last) = state { isNew = last.reason != reason }
    inode = 0
    state = .failure(Failure(fault: fault, reason: reason, isNew: false))
    return .failure(Failure(fault: fault, reason: reason, isNew: isNew))
  }

  private static func readAll(_ descriptor: Int32, _ path: String, _ buffer: inout ByteWriter) throws(KernelError) {
    buffer.removeAll()
    let chunk = 64 << 10
    while true {
      let before = buffer.count
      var failure: Int32 = 0
      buffer.append(capacity: chunk) { room in
        let count = Glibc.read(descriptor, room.baseAddress, room.count)
        if count < 0 { failure = errno }
        return max(count, 0)
      }
      if failure == EINTR { continue }
      guard failure == 0 else { throw KernelError("read", path, code: failure) }
      if buffer.count == before { return }
      guard buffer.count <= limit else { throw KernelError("read", path, code: EFBIG) }
    }
  }
}
