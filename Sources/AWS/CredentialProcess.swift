// `credential_process`: a command that prints credentials as JSON
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).

import Bytes
import Glibc

enum CredentialProcess {
  private static let limit = Duration.seconds(60)
  private static let maximumBytes = 64 << 10

  static func run(_ command: String, source: String) async throws(CredentialError) -> Credentials {
    let source = "credential_process of \(source)"
    do throws(AWSFault) {
      let output = try await output(of: command)
      let document = try CredentialDocument(output, "the command")
      guard document.json["Version"] == .number(1) else { throw AWSFault("what the command says is not of Version 1") }
      return try document.credentials(source)
    } catch {
      throw CredentialError(source, error.description)
    }
  }

  /// What a shell command prints. It is asked now and then whether there is more, so that no thread waits for it.
  private static func output(of command: String) async throws(AWSFault) -> [UInt8] {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw AWSFault("pipe: errno \(errno)") }
    defer { close(ends[0]) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let process = spawn(command, writingTo: ends[1])
    close(ends[1])
    guard let process else { throw AWSFault("the command cannot be started") }
    var status: Int32?
    defer { if status == nil { end(process) } }

    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    let deadline = ContinuousClock.now + limit
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    var isAtEnd = false
    while status == nil {
      let count = isAtEnd ? 0 : read(ends[0], &chunk, chunk.count)
      if count > 0 {
        output += chunk[..<count]
        guard output.count <= maximumBytes else { throw AWSFault("the command prints more than 64 KiB") }
        continue
      }
      if count == 0 {
        isAtEnd = true
        var code: Int32 = 0
        if waitpid(process, &code, WNOHANG) == process { status = code }
      } else if errno != EAGAIN && errno != EINTR {
        throw AWSFault("read: errno \(errno)")
      }
      guard ContinuousClock.now < deadline else { throw AWSFault("the command took more than a minute") }
      do { try await Task.sleep(for: .milliseconds(20)) } catch { throw AWSFault("cancelled") }
    }
    guard status == 0 else { throw AWSFault("the command failed") }
    return output
  }

  /// In a group of its own, with nothing to read, and with its errors on ours.
  private static func spawn(_ command: String, writingTo output: Int32) -> pid_t? {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    posix_spawnattr_setpgroup(&attributes, 0)
    var words: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sh"), strdup("-c"), strdup(command), nil]
    defer { for word in words { free(word) } }
    var process = pid_t()
    return posix_spawn(&process, "/bin/sh", &actions, &attributes, &words, environ) == 0 ? process : nil
  }

  /// It is not wanted any more.
  private static func end(_ process: pid_t) {
    kill(-process, SIGKILL)
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
  }
}
