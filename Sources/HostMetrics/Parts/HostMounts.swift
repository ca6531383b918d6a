import Bytes
import Kernel

/// The list of the host's mounts: that of process 1, or, where it is not allowed, this process's own.
struct HostMounts {
  private let files: [KernelFile]
  /// Where the host's root is mounted for this process, without a slash at the end; empty when it is this one's too.
  let rootPrefix: [UInt8]

  init(_ host: Host) {
    files = [KernelFile(host.proc("1/mountinfo")), KernelFile(host.proc("self/mountinfo"))]
    var root = Array(host.flags[Host.rootFlag].utf8)
    while root.last == UInt8(ascii: "/") { root.removeLast() }
    rootPrefix = root
  }

  /// Reads the text that `Mount.all` takes; `buffer` then holds it and nothing else.
  func read(into buffer: inout ByteWriter) throws(KernelError) {
    do {
      try files[0].read(into: &buffer)
    } catch {
      try files[1].read(into: &buffer)
    }
  }
}
