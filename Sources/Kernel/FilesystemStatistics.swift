// What statfs(2) says of a mounted file system.

import CLinux
import Glibc

/// The size and the use of a file system.
public struct FilesystemStatistics: Sendable, Equatable {
  /// Bytes in a block; the three counts of blocks are in it.
  public var blockSize: Double
  public var blocks: Double
  public var freeBlocks: Double
  /// Blocks that are free for users other than root.
  public var availableBlocks: Double
  /// Inodes.
  public var files: Double
  public var freeFiles: Double

  public init(
    blockSize: Double, blocks: Double, freeBlocks: Double, availableBlocks: Double, files: Double, freeFiles: Double
  ) {
    self.blockSize = blockSize
    self.blocks = blocks
    self.freeBlocks = freeBlocks
    self.availableBlocks = availableBlocks
    self.files = files
    self.freeFiles = freeFiles
  }

  /// Asks the kernel. It may block for as long as the file system's server does not answer: see `StatfsWorkers`.
  ///
  /// - Parameter path: bytes of a path, without a NUL.
  public static func read(_ path: [UInt8]) -> Result<FilesystemStatistics, KernelError> {
    var buffer = statfs()
    let status = (path + [0]).withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { statfs($0.baseAddress!, &buffer) }
    }
    guard status == 0 else { return .failure(KernelError("statfs", String(decoding: path, as: UTF8.self))) }
    return .success(
      FilesystemStatistics(
        blockSize: Double(buffer.f_bsize), blocks: Double(buffer.f_blocks), freeBlocks: Double(buffer.f_bfree),
        availableBlocks: Double(buffer.f_bavail), files: Double(buffer.f_files), freeFiles: Double(buffer.f_ffree)))
  }
}
