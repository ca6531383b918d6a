import Bytes
import Glibc
import Kernel

/// Whether this process runs in a container: what it reads then is the container's, not the host's, as far as name
/// spaces hide the host. Evidence is what container runtimes leave: files, variables, the cgroup of process 1.
enum ContainerCheck {
  private static let files = ["/.dockerenv", "/run/.containerenv"]
  private static let variables = [
    "KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI", "container",
  ]
  private static let cgroups = ["docker", "kubepods", "containerd", "crio", "libpod", "lxc", "garden", "/ecs/"]

  /// What shows that this is a container; nil when nothing does.
  ///
  /// - Parameters:
  ///   - root: below which the files are looked for; empty for this process' own.
  ///   - variable: the value of an environment variable.
  static func evidence(
    root: String = "", variable: (String) -> String? = { getenv($0).map { String(cString: $0) } }
  ) -> String? {
    for file in files where access(root + file, F_OK) == 0 { return file }
    for name in variables where variable(name)?.isEmpty == false { return "$" + name }
    var buffer = ByteWriter(capacity: 512)
    guard (try? KernelFile("\(root)/proc/1/cgroup", limit: 64 << 10).read(into: &buffer)) != nil else { return nil }
    let text = String(utf8: buffer.bytes)
    return cgroups.first { text.contains($0) }.map { "\($0) in /proc/1/cgroup" }
  }
}

extension Host {
  /// Warns when this is a container and nobody has said where the host's root is.
  func warnAboutContainer(evidence: String? = ContainerCheck.evidence()) {
    guard let evidence, !flags.isGiven(Self.rootFlag) else { return }
    logger.warning(
      """
      this looks like a container, and --path.rootfs is not given: filesystems, mounts and the operating system shown \
      are the container's. Mount the host's / read-only, say at /host, and give --path.rootfs=/host; the host's \
      network and processes need its name spaces (docker run --net=host --pid=host)
      """,
      metadata: ["evidence": "\(evidence)"])
  }
}
